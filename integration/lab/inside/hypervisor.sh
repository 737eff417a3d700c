# shellcheck shell=bash
# libvirt, which root/libvirt has set up, and Ceph, which root/ceph has.

# unlayer_guest moves the guest's kernel from hostfs to memory. libvirt opens it for writing to lock it, at which the
# host's overlayfs copies it; where that takes longer than a timer tick UML interrupts and restarts it for ever.
unlayer_guest() {
	local dir=/usr/share/domsnap-lab
	mkdir -p /run/lab-guest
	cp "$dir"/* /run/lab-guest/ && mount --bind /run/lab-guest "$dir"
}

start_libvirt() {
	virtlogd -d && libvirtd -d
}

await_libvirt() {
	timeout 60 bash -c 'until virsh -q list >/dev/null 2>&1; do sleep 0.1; done'
}

# start_ceph has it start beside what comes next; lab-ceph-wait waits for it.
start_ceph() {
	lab-ceph start >/var/log/lab-ceph.log 2>&1 &
}
