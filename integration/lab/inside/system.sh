# shellcheck shell=bash
# What every Linux system needs before anything else: mounts, names, devices, modules.
declare run

mount_basics() {
	mount -t sysfs sys /sys
	mount -t securityfs security /sys/kernel/security
	mount -t devtmpfs dev /dev
	mkdir -p /dev/pts /dev/shm
	link_streams
	mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
	mount_memory ''
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
}

link_streams() {
	ln -s /proc/self/fd /dev/fd
	ln -s fd/0 /dev/stdin && ln -s fd/1 /dev/stdout && ln -s fd/2 /dev/stderr
}

# mount_memory ROOT mounts what is written to. On a root that is the host's, what a user other than root makes would be root's.
mount_memory() {
	local dir
	for dir in /run /tmp /dev/shm /var/lib/lab /var/lib/libvirt/swtpm /var/lib/swtpm-localca; do
		mkdir -p "$1$dir"
		mount -t tmpfs -o size=100% tmpfs "$1$dir" || return
	done
}

# permit_memory lets others than root write there.
permit_memory() {
	chmod 1777 /tmp /dev/shm && chmod 711 /var/lib/libvirt/swtpm && chown tss /var/lib/swtpm-localca
}

# mount_shares brings back the shared folders that one of the mounts above has covered.
mount_shares() {
	local dir
	while read -r dir; do
		mkdir -p "$dir"
		mount -t hostfs -o "hostfs=$dir" share "$dir" || return
	done <"$run/shares"
}

# raw_terminals keeps the output as the command wrote it: no line end is turned into two.
raw_terminals() {
	stty -F /dev/tty1 raw -echo && stty -F /dev/tty2 raw -echo
}

name_host() {
	hostname lab
	echo '127.0.0.1 localhost lab' >/etc/hosts
	ip link set lo up
}

# start_udev triggers nothing: what storages the lab has is added after it.
start_udev() {
	mkdir -p /run/lvm /run/lock /run/udev
	/usr/lib/systemd/systemd-udevd --daemon
}

load_modules() {
	mkdir -p /lib/modules
	mount --bind /usr/lib/uml/modules /lib/modules
	modprobe -a dm-snapshot dm-thin-pool dm-flakey btrfs xfs overlay && modprobe loop max_loop=8 && modprobe nbd nbds_max=8
}
