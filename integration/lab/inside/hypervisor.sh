# shellcheck shell=bash
# libvirt, set up so that QEMU may do all that the tests ask of it.

# The filter keeps libvirt from reading every one of some 450 properties of the emulated CPU at each start, over a monitor
# that QEMU reads byte by byte, which is slow in UML: without that capability it asks for the CPU's feature words instead.
write_qemu_conf() {
	cat >/etc/libvirt/qemu.conf <<-'CONF'
		user = "root"
		group = "root"
		security_driver = "none"
		namespaces = [ ]
		cgroup_controllers = [ ]
		capability_filters = [ "cpu-unavailable-features" ]
	CONF
}

# unlayer_guest moves the guest's kernel from hostfs to memory. libvirt opens it for writing to lock it, at which the
# host's overlayfs copies it; where that takes longer than a timer tick UML interrupts and restarts it for ever.
unlayer_guest() {
	local dir=/usr/share/domsnap-lab
	mkdir -p /run/lab-guest
	cp "$dir"/* /run/lab-guest/ && mount --bind /run/lab-guest "$dir"
}

start_libvirt() {
	write_qemu_conf
	virtlogd -d && libvirtd -d
}

await_libvirt() {
	timeout 60 bash -c 'until virsh -q list >/dev/null 2>&1; do sleep 0.1; done'
}
