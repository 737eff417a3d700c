# shellcheck shell=bash
# The local storages. Their images are on a tmpfs: loop devices on the host's files would pass each block
# through two kernels. They are sparse, so only what is written costs memory.

readonly vg_size=8G fs_size=6G

# new_device NAME SIZE prints the block device of a new sparse image. It is one of device-mapper's, which lab-power can have
# lose what is written. That begins behind the loop device's first blocks: nothing may find the same storage twice.
new_device() {
	local loop image=/var/lib/lab/$1.img
	truncate -s "$2" "$image" && loop=$(losetup --find --show "$image") || return
	dmsetup create "lab-$1" --table "0 $(($(blockdev --getsz "$loop") - 2048)) linear $loop 2048" || return
	echo "/dev/mapper/lab-$1"
}

# make_volume_group makes vg0 with the thin pool pool0.
make_volume_group() {
	local device
	device=$(new_device vg0 $vg_size) || return
	vgcreate -q vg0 "$device" && lvcreate -q -y -L 3G --poolmetadatasize 16M -Zn -T vg0/pool0
}

# make_simple_file_system TYPE DIR does so where there is no device-mapper. The loop device ends with the mount.
make_simple_file_system() {
	local image=/var/lib/lab/$1.img
	mkdir -p "$2"
	truncate -s $fs_size "$image" && "mkfs.$1" -q "$image" && mount -o loop "$image" "$2"
}

# make_file_system TYPE DIR makes a file system and mounts it on DIR.
make_file_system() {
	local device
	mkdir -p "$2"
	device=$(new_device "$1" $fs_size) || return
	"mkfs.$1" -q "$device" && mount -t "$1" "$device" "$2"
}
