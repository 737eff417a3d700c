# shellcheck shell=bash
# The report: for people, for machines, and as metrics. What each says is in a program for jq beside this file.

# publish BEGAN reads the results of all domains. It fails where one has failed.
publish() {
	local text
	text=$(report "$1") || die 1 "the report cannot be made"
	jq -r -f "${lib:?}/summary.jq" <<<"$text"
	mkdir -p "$(dirname "${setting[report]}")"
	write_file "${setting[report]}" <<<"$text" || die 1 "${setting[report]} cannot be written"
	if [[ -n ${setting[metrics]} ]]; then
		jq -r -f "$lib/metrics.jq" <<<"$text" | write_file "${setting[metrics]}" 644 || die 1 "${setting[metrics]} cannot be written"
	fi
	jq -e .ok <<<"$text" >/dev/null
}

# report BEGAN: what the last report knew of each domain's last success goes on.
report() {
	local before='{}'
	[[ ! -s ${setting[report]} ]] || before=$(jq -c . "${setting[report]}" 2>/dev/null) || before='{}'
	jq -s -f "$lib/report.jq" --arg host "$(uname -n)" --argjson began "$1" --argjson ended "$(date +%s)" \
		--arg interrupted "$interrupted" --slurpfile before <(printf '%s' "$before")
}

# write_file PATH [MODE]: standard input is there in full or not at all.
write_file() {
	local new
	new=$(mktemp "$(dirname "$1")/.domsnap-nightly.XXXXXX") || return
	if cat >"$new" && chmod "${2:-600}" "$new" && mv -f "$new" "$1"; then
		return
	fi
	rm -f "$new"
	return 1
}
