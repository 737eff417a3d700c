# shellcheck shell=bash
# Builds the root and keeps it, under a key made of all that goes into it.

readonly cache=${DOMSNAP_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/domsnap-lab}
readonly build_mib=4096
declare here root

# root_key prints the key of the root that these files describe.
root_key() {
	(cd "$here" && cat lib/build.sh root/* guest/*) | sha256sum | cut -c1-16
}

packages() {
	grep -v '^#' "$here/root/packages" | grep . | paste -sd,
}

# bootstrap DIR makes a root. What apt fetched stays in the cache for the next one. The namespaces end
# with this shell, and all that mmdebstrap has started and mounted with them.
bootstrap() {
	local settings=$1.apt.conf
	mirror_settings >"$settings"
	mkdir -p "$cache/archives"
	mirror_sources | setpriv --pdeathsig KILL unshare --mount-proc --pid --fork --kill-child mmdebstrap --variant=apt --include="$(packages)" --aptopt="$settings" \
		--dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--skip=cleanup/apt,download/empty \
		--setup-hook="'$here/root/prepare' \"\$1\" '$cache/archives'" \
		--customize-hook="'$here/root/customize' \"\$1\" '$here/guest'" \
		trixie "$1" - >&2
	rm "$settings"
}

# prune removes roots of other keys, but not those in use: a run holds a lock on its root.
prune() {
	local old
	for old in "$cache"/root-*; do
		[[ $old == "$1" || $old == *.lock || ! -d $old ]] && continue
		(flock -n 8 && rm -rf --one-file-system "$old") 8>>"$old.lock" && rm -f "$old.lock"
	done
}

# build_root makes sure of the root and sets root to it.
build_root() {
	root=$cache/root-$(root_key)
	mkdir -p "$cache"
	exec 9>>"$cache/lock"
	[[ -d $root ]] || flock 9
	if [[ ! -d $root ]]; then build_new "$root"; fi
	exec 9>&-
}

# build_new builds the root; the caller holds the lock, so what another build has left is nobody's.
build_new() {
	require_tools
	require_space "$cache" "$build_mib" "build"
	local start=$SECONDS temp
	rm -rf --one-file-system "$cache"/new-*
	temp=$(mktemp -d "$cache/new-XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf --one-file-system '$temp'" EXIT
	bootstrap "$temp/root"
	mv "$temp/root" "$1"
	rm -rf "$temp"
	trap - EXIT
	prune "$1"
	echo "lab: built $1 in $((SECONDS - start)) s" >&2
}
