# shellcheck shell=bash
# shellcheck disable=SC2016 # jq's variables
# What is done for one domain: a snapshot, its export, its replicas, and a prune.

# one_domain NAME UUID
one_domain() {
	local name=$1 uuid=$2 began snapshot
	began=$(milliseconds)
	snapshot=nightly-$(date -u +%Y%m%dT%H%M%SZ)
	new_result "$name" "$uuid"
	if take; then
		export_disks
		replicate_everywhere
		prune
	fi
	add '.took_ms = $took' --argjson took $(($(milliseconds) - began))
}

milliseconds() { echo $((${EPOCHREALTIME/./} / 1000)); }

take() {
	local args=(--description "taken by domsnap-nightly")
	[[ -z ${option[descriptor]-} ]] || args+=(--descriptor "${option[descriptor]}")
	[[ -z ${option[quiesce]-} ]] || args+=(--quiesce "${option[quiesce]}")
	ask snapshot-create-as "${args[@]}" -- "$uuid" "$snapshot"
	((code != 6)) || look_again
	((code == 0)) || { note snapshot && return 1; }
	add '.snapshot = $answer.name | .disks = [$answer.disks[].target] | .level = $answer.consistency.level
		| .frozen_ms = $answer.consistency.frozen_ms | .paused_ms = $answer.consistency.paused_ms'
}

# look_again: what recover has finished may have been this snapshot, and then it is there by now.
look_again() {
	local refused=$answer
	jq -e .recovered <<<"$result" >/dev/null || return
	call snapshot-info -- "$uuid" "$snapshot"
	((code == 0)) || answer=$refused code=6
}

# export_disks writes each disk to a file, over that of the run before. The first that does not work ends it.
export_disks() {
	local dir targets target
	[[ -n ${option[export]-} ]] || return
	dir=${option[export]}/$(file_name)
	mkdir -p "$dir" || { complain export "$dir cannot be made" && return; }
	write_file "$dir/snapshot.json" <<<"$answer" || { complain export "$dir/snapshot.json cannot be written" && return; }
	mapfile -d '' -t targets < <(jq -j '.disks[] | ., "\u0000"' <<<"$result")
	for target in "${targets[@]}"; do
		export_disk "$dir" "$target" || return
	done
}

# export_disk DIR TARGET: the file is there in full or not at all.
export_disk() {
	local format=${option[format]:-qcow2} part=$1/.$2.part
	[[ $2 =~ ^[[:alnum:]_-]+$ ]] || { complain export "the target $2 is no name for a file" && return 1; }
	rm -f "$part"
	ask snapshot-export --disk "$2" --file "$part" --format "$format" -- "$uuid" "$snapshot"
	((code == 0)) || { note export && rm -f "$part" && return 1; }
	mv -f "$part" "$1/$2.$format" || { complain export "$1/$2.$format cannot be written" && return 1; }
	add '.exported += [{target: $target, file: $file}]' --arg target "$2" --arg file "$1/$2.$format"
}

# file_name is the domain's name, or its UUID where the name is none for a file or looks like another's UUID.
file_name() {
	local uuids='^[[:xdigit:]]{8}-'
	if [[ $name =~ ^[[:alnum:]_][[:alnum:]._-]*$ && ! $name =~ $uuids ]]; then
		echo "$name"
	else
		echo "$uuid"
	fi
}

# prune goes by the rules there are; without any nothing is deleted.
prune() {
	local rules
	read_rules keep
	((${#rules[@]})) || return
	[[ -z ${option[keep-safety]-} ]] || rules+=(--keep-safety "${option[keep-safety]}")
	ask snapshot-prune "${rules[@]}" -- "$uuid"
	if ((code)); then
		note prune
	else
		add '.deleted = ($answer.deleted // [])'
	fi
}

# read_rules PREFIX: those of the options that begin with it, as domsnap has them.
read_rules() {
	local rule
	rules=()
	for rule in last hourly daily weekly monthly yearly; do
		[[ -z ${option[$1-$rule]-} ]] || rules+=("--keep-$rule" "${option[$1-$rule]}")
	done
}
