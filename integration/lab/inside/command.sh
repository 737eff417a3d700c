# shellcheck shell=bash
# What the lab was told to do: a command, and the environment and the directory for it.
declare here

readonly run=/opt/domsnap-lab/run

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$here/bin
export HOME=/root LANG=C.UTF-8 LIBVIRT_DEFAULT_URI=qemu:///system

# step does one thing of those that make a lab. The caller has give_up.
step() {
	echo "lab: $* ($(cut -d' ' -f1 /proc/uptime) s)"
	"$@" || give_up "$*"
}

# exec_command becomes the command.
exec_command() {
	local -a command
	mapfile -d '' -t command <"$run/command"
	set -a
	# shellcheck source=/dev/null
	. "$run/environment"
	cd "$(cat "$run/directory")" && exec "${command[@]}"
}
