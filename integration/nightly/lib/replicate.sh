# shellcheck shell=bash
# shellcheck disable=SC2016 # jq's variables
# Bringing a domain's snapshot to other places.

# replicate_everywhere: one place that fails does not stop the others, and nothing is deleted there.
replicate_everywhere() {
	local places place
	IFS=, read -r -a places <<<"${option[replicate]-}"
	for place in "${places[@]}"; do
		finish_cut "$place" && replicate "$place" "$snapshot" && prune_replicas "$place"
	done
}

# finish_cut PLACE ends what an earlier night has begun there, while its snapshot is still here.
finish_cut() {
	local ids id
	ask replica-list -- "$1" "$uuid"
	((code == 0)) || { note replicate "$1" && return 1; }
	mapfile -d '' -t ids < <(jq -j '.[] | select(.state == "inbound") | .snapshot, "\u0000"' <<<"$answer")
	for id in "${ids[@]}"; do
		call snapshot-info -- "$uuid" "$id"
		if jq -e '.state == "available"' <<<"$answer" >/dev/null; then
			replicate "$1" "$id" || return
		fi
	done
}

# replicate PLACE SNAPSHOT
replicate() {
	ask snapshot-replicate --to "$1" -- "$uuid" "$2"
	((code == 0)) || { note replicate "$1" && return 1; }
	add '.replicated += [{to: $to, snapshot: $answer.name, base: $answer.base, resumed: $answer.resumed, bytes_moved: $answer.bytes_moved}]' --arg to "$1"
}

# prune_replicas PLACE goes by the rules for replicas; without any nothing is deleted.
prune_replicas() {
	local rules
	read_rules replica-keep
	((${#rules[@]})) || return 0
	ask replica-prune "${rules[@]}" -- "$1" "$uuid"
	((code == 0)) || { note prune "$1" && return; }
	add '.replicas_deleted += [{at: $at, snapshot: $answer.deleted[]?}]' --arg at "$1"
}
