# shellcheck shell=sh
# A hypervisor in a root without systemd, and what is tried on it with any kind of package.
export DEBIAN_FRONTEND=noninteractive LIBVIRT_DEFAULT_URI=qemu:///system
images=/var/lib/libvirt/images
state=/var/lib/domsnap

fails() {
	if "$@"; then
		echo "this was to fail: $*" >&2
		exit 1
	fi
}

# asked ARGUMENTS wants that systemctl was called so.
asked() { grep -qxF -e "$*" /run/asked-systemctl; }

# wants_units wants what runs at boot to be enabled, and what runs each night not to be.
wants_units() {
	units=$(ls /etc/systemd/system/*.wants)
	echo "$units" | grep -x domsnap-recover.service
	echo "$units" | fails grep -x domsnap-nightly.timer
}

no_units() { find /etc/systemd/system -name 'domsnap*' | fails grep .; }

# try_texts wants the manual pages and the completions.
try_texts() {
	man domsnap | grep -q 'EXIT STATUS'
	man 8 domsnap-nightly >/dev/null
	man 5 domsnap-nightly.conf >/dev/null
	domsnap complete -- snapshot-li | grep snapshot-list
	test -e /usr/share/bash-completion/completions/domsnap
	test -e /usr/share/fish/vendor_completions.d/domsnap.fish
}

# nothing_left wants no file of the packages but what is no package's to remove.
nothing_left() {
	test -d "$state/journal"
	find / -xdev -path '*domsnap*' ! -path '/packages*' ! -path "$state*" ! -path '/proc/*' ! -path '/run/*' ! -path '/var/cache/man/*' |
		fails grep .
}

# Where packages' scripts look for programs.
path=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# start_libvirt starts libvirt, until the script ends, and a systemctl that knows of it. libvirt has a network and mounts of
# its own: it gives each guest a /dev like that of the host, which it wants to be a mount, and cgroups, but not this host's.
start_libvirt() {
	install -D /packages/systemctl /usr/local/bin/systemctl
	echo "DPkg::Path \"$path\";" >/etc/apt/apt.conf.d/stand-in
	# What is to be started and stopped may be.
	mv /usr/sbin/policy-rc.d /run/
	mkdir -p /run/systemd/system
	trap stop_libvirt EXIT
	unshare --net --mount sh -ec 'mount --rbind /dev /dev
		if mountpoint -q /sys/fs/cgroup; then umount --recursive --lazy /sys/fs/cgroup; fi
		ip link set lo up
		virtlogd -d
		libvirtd -d --pid-file /run/libvirtd.pid'
	timeout 60 sh -c 'until virsh -q list --all; do sleep 0.2; done'
}

# stop_libvirt leaves nothing that runs: who waits for the root would wait for ever.
stop_libvirt() {
	virsh -q list --name | xargs -r -n 1 virsh destroy || true
	kill "$(cat /run/libvirtd.pid)" "$(cat /run/virtlogd.pid)" || true
	mv /run/policy-rc.d /usr/sbin/
	rm -r /usr/local/bin/systemctl /run/systemd
}

# define NAME defines a domain with one qcow2 disk and no system.
define() {
	qemu-img create -q -f qcow2 "$images/$1.qcow2" 64M
	cat >"/run/$1.xml" <<XML
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='$images/$1.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
XML
	virsh define "/run/$1.xml"
}

disk_of() { virsh -q domblklist "$1" --inactive | awk '$1 == "vda" { print $2 }'; }

# fill NAME BYTE writes the disk of a domain that is off, holds NAME BYTE wants to find that there.
fill() { qemu-io -f qcow2 -c "write -P $2 0 8M" "$(disk_of "$1")"; }

holds() { qemu-io -r -f qcow2 -c "read -P $2 0 8M" "$(disk_of "$1")"; }

# snapshots_of NAME are its snapshots on one line, oldest first.
snapshots_of() { domsnap -o json snapshot-list "$1" | jq -r 'map(.name) | join(" ")'; }

# try_off takes and reverts a snapshot of a domain that is off.
try_off() {
	fill "$1" 1
	domsnap snapshot-create-as "$1" one
	fill "$1" 2
	fails holds "$1" 1
	domsnap snapshot-revert "$1" one --no-safety
	holds "$1" 1
	test "$(snapshots_of "$1")" = one
}

# try_running takes a snapshot of a domain that runs, and reverts it to that, and deletes both that it has.
try_running() {
	virsh start "$1"
	domsnap snapshot-create-as "$1" two
	virsh domstate "$1" | grep -x running
	domsnap -o json snapshot-info "$1" two | jq -e '.consistency.level == "crash" and .state == "available"'
	test "$(snapshots_of "$1")" = "one two"
	virsh destroy "$1"
	fill "$1" 3
	domsnap snapshot-revert "$1" two --no-safety
	holds "$1" 1
	virsh start "$1"
	domsnap snapshot-delete "$1" one
	domsnap snapshot-delete "$1" two
	test "$(snapshots_of "$1")" = ""
	domsnap check "$1"
	virsh destroy "$1"
	holds "$1" 1
}

# try_veto starts a domain that may be half-reverted, which libvirt's hook keeps from starting.
try_veto() {
	journal=$state/journal/$(virsh domuuid "$1" | head -n 1).journal
	echo torn >"$journal"
	fails virsh start "$1" 2>/run/refused
	grep -q 'run domsnap recover' /run/refused
	rm "$journal"
	virsh start "$1"
	virsh destroy "$1"
}

# try_domain does all that with a domain that is gone afterwards.
try_domain() {
	define "$1"
	try_off "$1"
	try_running "$1"
	try_veto "$1"
	virsh undefine "$1"
	rm "$images/$1".*
}
