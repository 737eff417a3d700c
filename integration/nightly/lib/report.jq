# The results of all domains, one document each, as one report.
([$before[0] | objects | .domains? | arrays | .[] | objects | select((.domain_uuid | type) == "string" and (.last_success | type) == "string")
	| {key: .domain_uuid, value: .last_success}] | from_entries) as $last
| map(.last_success = (if .ok then ($ended | todate) else $last[.domain_uuid] end))
| {
	host: $host,
	began: ($began | todate),
	ended: ($ended | todate),
	took_ms: (($ended - $began) * 1000),
	interrupted: ($interrupted != ""),
	ok: (all(.[]; .ok) and $interrupted == ""),
	failed: (map(select(.ok | not)) | length),
	domains: .
}
