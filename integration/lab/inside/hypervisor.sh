# shellcheck shell=bash
# libvirt, set up so that QEMU may do all that the tests ask of it.

write_qemu_conf() {
	cat >/etc/libvirt/qemu.conf <<-'CONF'
		user = "root"
		group = "root"
		security_driver = "none"
		namespaces = [ ]
		cgroup_controllers = [ ]
	CONF
}

start_libvirt() {
	write_qemu_conf
	virtlogd -d && libvirtd -d
}

await_libvirt() {
	timeout 60 bash -c 'until virsh -q list >/dev/null 2>&1; do sleep 0.1; done'
}
