# shellcheck shell=bash
# What /etc/domsnap/nightly.conf says. See domsnap-nightly.conf(5).

# For each pattern its options, a line of NAME=VALUE.
patterns=() options=()
# What a line without a pattern has said, for all lines below it.
defaults=''
declare -A setting=([report]="${state:?}/nightly/report.json" [metrics]='')
# The options of the domain at work.
declare -A option=()

read_config() {
	local line number=0 words
	[[ -r $config ]] || die 2 "$config cannot be read"
	while IFS= read -r line || [[ -n $line ]]; do
		number=$((number + 1))
		read -r -a words <<<"${line%%#*}"
		((${#words[@]} == 0)) || read_words "$config:$number" "${words[@]}"
	done <"$config"
	((${#patterns[@]})) || die 2 "$config chooses no domain"
}

# read_words WHERE WORD...
read_words() {
	local where=$1 pattern='' word
	shift
	[[ $1 == *=* ]] || { pattern=$1 && shift; }
	for word; do
		valid "$pattern" "${word%%=*}" "${word#*=}" || die 2 "$where: $word is no option here, or its value is none"
	done
	if [[ -n $pattern ]]; then
		patterns+=("$pattern") options+=("$defaults $*")
	else
		read_defaults "$@"
	fi
}

# valid PATTERN NAME VALUE: what is for the whole run has no pattern before it.
valid() {
	local place='(file:/|ssh://[^,/]+/)[^,]*'
	case $2 in
	keep-last | keep-hourly | keep-daily | keep-weekly | keep-monthly | keep-yearly) [[ $3 =~ ^(-1|[0-9]{1,6})$ ]] ;;
	replica-keep-*) valid '' "${2#replica-}" "$3" && [[ $2 != *-safety ]] ;;
	keep-safety) [[ $3 =~ ^([0-9]+(\.[0-9]+)?(h|m|s))+$ ]] ;;
	quiesce) [[ $3 == require || $3 == try || $3 == no ]] ;;
	format) [[ $3 == raw || $3 == qcow2 ]] ;;
	descriptor | export) [[ $3 == /* ]] ;;
	replicate) [[ $3 =~ ^$place(,$place)*$ ]] ;;
	report | metrics) [[ $3 == /* && -z $1 ]] ;;
	*) return 1 ;;
	esac
}

read_defaults() {
	local word
	for word; do
		case $word in
		report=* | metrics=*) setting[${word%%=*}]=${word#*=} ;;
		*) defaults+=" $word" ;;
		esac
	done
}

# choose NAME UUID: the first pattern that fits counts. Fails when the domain is left out.
choose() {
	local i
	for i in "${!patterns[@]}"; do
		# shellcheck disable=SC2053 # these are patterns
		[[ $1 == ${patterns[i]#!} || $2 == "${patterns[i]#!}" ]] || continue
		[[ ${patterns[i]} != !* ]] || return 1
		set_options "${options[i]}"
		return 0
	done
	return 1
}

# set_options LINE: the last one of a name counts.
set_options() {
	local words word
	option=()
	read -r -a words <<<"$1"
	for word in "${words[@]}"; do
		option[${word%%=*}]=${word#*=}
	done
}

# say_options NAME
say_options() {
	local key
	printf '%q' "$1"
	for key in "${!option[@]}"; do
		printf ' %q' "$key=${option[$key]}"
	done
	echo
}
