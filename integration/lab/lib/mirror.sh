# shellcheck shell=bash
# Where Debian packages come from: the mirror and the settings of the host's own apt.

# mirror_uri prints the first Debian archive (not the security one) apt is set up for.
mirror_uri() {
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Identifier: Packages' |
		awk '$1 == "Debian" && $2 !~ /security/ { print $2; exit }'
}

# mirror_settings prints the host's apt settings that decide how things are fetched.
mirror_settings() {
	apt-config dump |
		grep -E '^Acquire::(https?|Retries|Check-Valid-Until|Check-Date)(::[^ ]*)? "[^"]+"' || true
}

# mirror_sources prints the lab's package sources.
mirror_sources() {
	local uri
	uri=$(mirror_uri)
	[[ -n $uri ]] || die "find a Debian mirror: apt on this host has none; run apt-get update first"
	printf 'deb %s trixie main\ndeb %s sid main\n' "$uri" "$uri"
}
