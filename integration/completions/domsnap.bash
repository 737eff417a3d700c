# shellcheck shell=bash
# Completion of domsnap for bash, with the package bash-completion. The program itself says what a word could become.

# _domsnap_plain takes the quotes away that somebody has typed.
_domsnap_plain() { printf '%s' "${1//[\\\"\']/}"; }

_domsnap() {
	local cur words cword word quoted line
	local -a typed=()
	_get_comp_words_by_ref -n := cur words cword || return
	for word in "${words[@]:1:cword}"; do
		typed+=("$(_domsnap_plain "$word")")
	done
	while IFS= read -r line; do
		printf -v quoted %q "${line%%$'\t'*}"
		COMPREPLY+=("$quoted")
	done < <("${words[0]/#\~/$HOME}" complete -- "${typed[@]}" 2>/dev/null)
	__ltrim_colon_completions "$cur"
}

complete -o default -o bashdefault -F _domsnap domsnap
