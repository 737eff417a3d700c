# shellcheck shell=bash
# What the lab needs of the machine it runs on.

# program:package pairs.
readonly host_tools=(mmdebstrap:mmdebstrap unshare:util-linux setpriv:util-linux flock:util-linux taskset:util-linux
	sha256sum:coreutils apt-get:apt awk:mawk)

die() {
	echo "lab: $*" >&2
	exit 125
}

missing_packages() {
	local tool
	for tool in "${host_tools[@]}"; do
		command -v "${tool%%:*}" >/dev/null || echo "${tool##*:}"
	done | sort -u
}

require_root() {
	((EUID == 0)) || die "start: must be root, for mounts and chroot (try sudo)"
}

require_tools() {
	local missing
	missing=$(missing_packages | paste -sd' ')
	[[ -z $missing ]] || die "start: missing on this host: $missing (lab deps installs them)"
}

require_overlay() {
	grep -qw overlay /proc/filesystems || modprobe -q overlay 2>/dev/null ||
		die "start: this kernel has no overlayfs"
}

# require_kernel wants what the lab's storages are on, besides LVM, and nobody who confines libvirt's programs by their paths.
require_kernel() {
	local fs
	[[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) != Y && ! -e /sys/fs/selinux/enforce ]] ||
		die "start: this kernel confines programs (lab run brings its own)"
	for fs in btrfs xfs ext4; do
		grep -qw "$fs" /proc/filesystems || modprobe -q "$fs" 2>/dev/null || die "start: this kernel has no $fs (lab run brings its own)"
	done
	[[ -e /dev/loop-control ]] || modprobe -q loop 2>/dev/null || die "start: this kernel has no loop devices (lab run brings its own)"
}

# require_space DIR MIB WHAT
require_space() {
	local free
	free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	((free >= $2)) || die "$3: $1 has $free MiB free, $2 are needed"
}

# require_memory MIB
require_memory() {
	local free
	free=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
	((free >= $1)) || die "start: $free MiB of memory are available, $1 are needed"
}

install_missing() {
	local -a packages
	mapfile -t packages < <(missing_packages)
	((${#packages[@]})) || return 0
	apt-get update -qq && apt-get install -y --no-install-recommends "${packages[@]}"
}
