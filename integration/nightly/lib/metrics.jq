# A report for the textfile collector of Prometheus' node exporter.
def escaped: tostring | gsub("\\\\"; "\\\\") | gsub("\""; "\\\"") | gsub("\n"; "\\n");
def heading(name; help): "# HELP domsnap_nightly_\(name) \(help)", "# TYPE domsnap_nightly_\(name) gauge";
def once(name; help; value): heading(name; help), "domsnap_nightly_\(name) \(value)";
def each(name; help; value):
	heading(name; help),
	(.domains[] | "{domain=\"\(.domain | escaped)\",uuid=\"\(.domain_uuid | escaped)\"}" as $labels
		| value | values | "domsnap_nightly_\(name)\($labels) \(.)");

once("last_run_timestamp_seconds"; "When the last run ended."; .ended | fromdate),
once("duration_seconds"; "How long the last run took."; .took_ms / 1000),
once("failed_domains"; "How many domains failed in the last run."; .failed),
each("success"; "Whether all that was asked for the domain was done."; if .ok then 1 else 0 end),
each("last_success_timestamp_seconds"; "When that last was so."; .last_success | values | fromdate),
each("domain_duration_seconds"; "How long the domain took."; .took_ms / 1000),
each("frozen_seconds"; "How long the guest was frozen."; .frozen_ms | values | . / 1000)
