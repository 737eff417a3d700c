# shellcheck shell=bash
# The local storages. Their images are on a tmpfs: loop devices on the host's files would pass each block
# through two kernels. They are sparse, so only what is written costs memory.

readonly vg_size=8G fs_size=6G

# new_loop FILE SIZE prints the loop device of a new sparse image.
new_loop() {
	truncate -s "$2" "$1" && losetup --find --show "$1"
}

# make_volume_group makes vg0 with the thin pool pool0.
make_volume_group() {
	local device
	device=$(new_loop /var/lib/lab/vg0.img $vg_size) || return
	vgcreate -q vg0 "$device" && lvcreate -q -y -L 3G --poolmetadatasize 16M -Zn -T vg0/pool0
}

# make_file_system TYPE DIR makes a file system and mounts it on DIR.
make_file_system() {
	local device
	mkdir -p "$2"
	device=$(new_loop "/var/lib/lab/$1.img" $fs_size) || return
	"mkfs.$1" -q "$device" && mount -t "$1" "$device" "$2"
}
