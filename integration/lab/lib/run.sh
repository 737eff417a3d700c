# shellcheck shell=bash
# Runs commands in the root. Every run has a mount and process namespace of its own and writes only to a tmpfs in
# it, so whatever way it ends the kernel clears everything away, and runs do not see each other.

readonly lab_mib=${DOMSNAP_LAB_MEMORY:-6144}

# What "lab" has read from its arguments, and where the root is mounted.
declare -a shares pairs
declare here cache mnt cpu lab_started
# shellcheck source=integration/lab/inside/system.sh
. "$here/inside/system.sh"

# in_namespaces FUNCTION runs "lab FUNCTION" in the namespaces. The chain of parent-death signals ends it even
# when this shell is killed outright; unshare itself holds SIGTERM off, hence the traps.
in_namespaces() {
	local child code
	setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child "$here/lab" "$@" &
	child=$!
	trap 'kill -KILL "$child" 2>/dev/null' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	wait "$child" && code=0 || code=$?
	trap - EXIT
	return "$code"
}

# mount_root BASE mounts a fresh overlay over the pristine root and sets mnt to it.
mount_root() {
	local base=$1
	mnt=/run/domsnap-lab
	mkdir -p "$mnt"
	mount -t tmpfs -o size=100%,mode=755 tmpfs "$mnt"
	mkdir "$mnt"/{upper,work,root}
	mount -t overlay overlay -o "lowerdir=$base,upperdir=$mnt/upper,workdir=$mnt/work" "$mnt/root"
	mnt=$mnt/root
	mount -t proc proc "$mnt/proc"
	mount --rbind /dev "$mnt/dev"
}

# share DIR[:ro] makes a folder of the host visible at the same path.
share() {
	local dir=${1%:ro}
	[[ $dir != *[,$'\n']* ]] || die "share $dir: hostfs takes no comma or line end in a path"
	mkdir -p "$mnt$dir"
	mount --rbind "$dir" "$mnt$dir"
	[[ $1 != *:ro ]] || mount -o remount,bind,ro "$mnt$dir"
}

share_all() {
	local dir
	for dir in "${shares[@]}"; do share "$dir"; done
}

# write_orders leaves what inside/init is to do where it finds it.
write_orders() {
	local run=$mnt/opt/domsnap-lab/run pair
	mkdir -p "$run" "$mnt/opt/domsnap-lab/inside"
	mount --bind "$here/inside" "$mnt/opt/domsnap-lab/inside"
	printf '%s\0' "$@" >"$run/command"
	pwd >"$run/directory"
	printf '%s\n' "${shares[@]%:ro}" >"$run/shares"
	for pair in "${pairs[@]}" "DOMSNAP_LAB_STARTED=$lab_started"; do printf '%s=%q\n' "${pair%%=*}" "${pair#*=}"; done >"$run/environment"
}

# allowed_cpus prints the CPUs that this process may use.
allowed_cpus() {
	local list range
	list=$(awk '$1 == "Cpus_allowed_list:" { print $2 }' /proc/self/status)
	for range in ${list//,/ }; do
		seq "${range%-*}" "${range#*-}"
	done
}

# choose_cpu sets cpu to one that as few other labs are on as can be. All of a lab stays on one CPU: its kernel and what runs
# in it take turns at every system call, which takes up to ten times as long from one CPU to another.
choose_cpu() {
	local place
	for place in {1..9}; do
		for cpu in $(allowed_cpus); do
			exec 7>>"$cache/cpu-$cpu-$place.lock"
			! flock -n 7 || return 0
		done
	done
}

# boot starts the kernel with the command's two streams on descriptors 3 and 4.
boot() {
	mount -t tmpfs -o "size=$((lab_mib + 256))m,mode=1777" tmpfs "$mnt/dev/shm"
	taskset -c "$cpu" chroot "$mnt" /usr/bin/linux.uml "mem=${lab_mib}M" seccomp=on security=apparmor root=/dev/root rootfstype=hostfs rootflags=/ rw \
		init=/opt/domsnap-lab/inside/init con=null con0=null,fd:1 con1=null,fd:3 con2=null,fd:4 quiet
}

# show_log prints the end of the lab's log when the lab, not the command, is at fault.
show_log() {
	echo "lab: the lab did not come up; its log ends:" >&2
	tail -n 30 "$1" >&2
}

# run_inside is the part of "lab run" that runs in the namespaces. The cats keep UML off the caller's
# descriptors, which it would make non-blocking, and which may be plain files, which it cannot write to.
run_inside() {
	local run log code
	mount_root "$1"
	shift
	share_all
	write_orders "$@"
	choose_cpu
	run=$mnt/opt/domsnap-lab/run log=${DOMSNAP_LAB_LOG:-$run/log}
	{ { boot 3>&1 4>&2 >"$log" 2>&1 </dev/null | cat >&5; } 2>&1 | cat >&2; } 5>&1 || true
	code=$(cat "$run/exit" 2>/dev/null) || code=125
	[[ $code != 125 ]] || show_log "$log"
	return "$code"
}

# run_here is the part of "lab here" that runs in the namespaces.
run_here() {
	local run log code=0
	mount_root "$1"
	shift
	mount_memory "$mnt"
	share_all
	write_orders "$@"
	choose_cpu
	run=$mnt/opt/domsnap-lab/run log=${DOMSNAP_LAB_LOG:-$run/log}
	taskset -c "$cpu" unshare --net --uts --ipc chroot "$mnt" /opt/domsnap-lab/inside/here 3>"$log" </dev/null || code=$?
	[[ $code != 125 ]] || show_log "$log"
	return "$code"
}

# chroot_inside is the part of "lab chroot" that runs in the namespaces.
chroot_inside() {
	mount_root "$1"
	shift
	share_all
	chroot "$mnt" /usr/bin/env -C "$PWD" HOME=/root LANG=C.UTF-8 "${pairs[@]}" "$@"
}
