# shellcheck shell=bash
# What the recipes share: a snapshot, and its disks served one after the other to a program that reads them. Nothing of a
# disk's size is written in between.

umask 077
domsnap=${DOMSNAP:-domsnap}
# What the snapshot is called in the backup, and its targets, all of them or those that were named.
domain='' name='' targets=()
# Where a disk is served.
uri=''
uuid='' id='' work='' exporter=''

# die MESSAGE
die() {
	echo "${0##*/}: $1" >&2
	exit 1
}

# read_snapshot DOMAIN NAME [TARGET]...
read_snapshot() {
	local info tool
	(($# >= 2)) || die "usage: ${0##*/} DOMAIN NAME [TARGET]..."
	for tool in jq nbdcopy; do command -v "$tool" >/dev/null || die "$tool is missing"; done
	info=$("$domsnap" --output json snapshot-info -- "$1" "$2") || die "$(jq -r .error.message <<<"$info")"
	uuid=$(jq -r .domain_uuid <<<"$info") id=$(jq -r .id <<<"$info")
	domain=$(plain "$(jq -r .domain <<<"$info")" "$uuid") name=$(plain "$(jq -r .name <<<"$info")" "$id")
	targets=("${@:3}")
	((${#targets[@]})) || mapfile -t targets < <(jq -r '.disks[].target' <<<"$info")
	work=$(mktemp -d)
	trap leave EXIT
}

# plain NAME INSTEAD: what backup programs could take for something else than a name is not used.
plain() {
	if [[ $1 =~ ^[[:alnum:]_][[:alnum:]._-]*$ ]]; then echo "$1"; else echo "$2"; fi
}

leave() {
	[[ -z $exporter ]] || kill "$exporter" 2>/dev/null || true
	wait
	rm -rf "$work"
}

# with_disk TARGET COMMAND...: the command succeeds, having read all it wants at $uri, and so does the export.
with_disk() {
	local socket=$work/disk
	uri=nbd+unix:///?socket=$socket
	"$domsnap" --quiet snapshot-export --disk "$1" --nbd "unix:$socket" -- "$uuid" "$id" >/dev/null &
	exporter=$!
	until [[ -S $socket ]]; do
		kill -0 "$exporter" 2>/dev/null || { exporter='' && die "disk $1 of $domain $name is not served"; }
		sleep 0.1
	done
	"${@:2}"
	wait "$exporter" || { exporter='' && die "the export of disk $1 of $domain $name failed"; }
	exporter=''
}
