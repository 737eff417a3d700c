# shellcheck shell=bash
# shellcheck disable=SC2016 # jq's variables
# Asking domsnap, and what became of a domain.

# The last answer and exit code of domsnap, and what became of the domain at work: a JSON document each.
answer=null code=0 result=null

# call ARGUMENT...: one run of domsnap. Our lock is not for its children.
call() {
	code=0
	answer=$("${domsnap:?}" --output json --quiet --no-progress "$@" 9>&-) || code=$?
	if ! jq -es 'length == 1 and .[0] != null' <<<"$answer" >/dev/null 2>&1; then
		((code)) || code=1
		say_error "domsnap $1 gave no answer" "$code"
	fi
}

# say_error MESSAGE CODE makes an answer of an error of our own.
say_error() {
	answer=$(jq -nc --arg message "$1" --argjson code "$2" '{error: {code: $code, message: $message, hint: ""}}')
}

# ask ARGUMENT...: call, again while the domain is busy, and once more when recover has ended what was unfinished.
ask() {
	local tries=0 recovered=''
	while :; do
		call "$@"
		if ((code == 4 && tries < busy_tries)); then
			tries=$((tries + 1))
			sleep "$busy_wait" || return
		elif ((code == 7)) && [[ -z $recovered ]]; then
			recovered=1
			recover || return
		else
			return
		fi
	done
}

# recover: where it does not work both errors are told.
recover() {
	local before=$answer
	call recover -- "${uuid:?}"
	((code)) || { add '.recovered = true' && return; }
	note recover
	answer=$before code=7
	return 1
}

# new_result NAME UUID
new_result() {
	result=$(jq -nc --arg name "$1" --arg uuid "$2" '{domain: $name, domain_uuid: $uuid, ok: true, snapshot: null, disks: [],
		level: null, frozen_ms: null, paused_ms: null, recovered: false, exported: [], replicated: [], deleted: [], replicas_deleted: [], errors: [], took_ms: 0}')
}

# add FILTER [OPTION...]: changes the result by a filter of jq, whose $answer is the last answer.
add() {
	result=$(jq -c --slurpfile given <(printf '%s' "$answer") "${@:2}" '$given[0] as $answer | '"$1" <<<"$result")
}

# note STEP [PLACE]: the last answer is an error.
note() {
	add '.ok = false | .errors += [($answer.error? // {code: $code, message: "no reason given", hint: ""})
		+ {step: $step, place: (if $place == "" then null else $place end)}]' \
		--arg step "$1" --arg place "${2-}" --argjson code "$code"
}

# complain STEP MESSAGE: an error of our own.
complain() {
	say_error "$2" 1
	note "$1"
}
