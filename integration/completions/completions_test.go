// Package completions has what the shells need to complete domsnap's command lines.
package completions

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hypervisor is a file for libvirt's test driver: a domain whose name has a space, one with a colon, one that is hostile.
const hypervisor = `<node>
<domain type='test'><name>web 1</name><memory>1024</memory><os><type>hvm</type></os>
 <devices><disk type='file' device='disk'><source file='/x'/><target dev='vda'/></disk></devices></domain>
<domain type='test'><name>db:main</name><memory>1024</memory><os><type>hvm</type></os></domain>
<domain type='test'><name>$(touch pwned);'</name><memory>1024</memory><os><type>hvm</type></os></domain>
</node>`

// bin has domsnap.
var bin string

func TestMain(m *testing.M) { os.Exit(built(m.Run)) }

func built(run func() int) int {
	dir, err := os.MkdirTemp("", "domsnap-completions")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	bin = dir
	if out, err := exec.Command("go", "build", "-o", dir, "../../cmd/domsnap").CombinedOutput(); err != nil {
		panic(string(out))
	}
	return run()
}

// inShell runs a script where domsnap is in PATH, and knows the domains.
func inShell(t *testing.T, shell, script string) string {
	t.Helper()
	t.Parallel()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("this host has no %s", shell)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "node.xml"), []byte(hypervisor), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LIBVIRT_DEFAULT_URI=test://"+dir+"/node.xml", "HERE="+here, "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", shell, err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
		t.Error("the name of a domain was run")
	}
	return string(out)
}

func want(t *testing.T, got string, lines ...string) {
	t.Helper()
	if got = strings.TrimSpace(got); got != strings.Join(lines, "\n") {
		t.Errorf("it says\n%s\nwant\n%s", got, strings.Join(lines, "\n"))
	}
}

const bashCompletion = "/usr/share/bash-completion/bash_completion"

func TestBash(t *testing.T) {
	if _, err := os.Stat(bashCompletion); err != nil {
		t.Skip("this host has no bash-completion")
	}
	want(t, inShell(t, "bash", `. `+bashCompletion+`; . "$HERE/domsnap.bash"
try() {
	COMP_LINE=$1 COMP_POINT=${#1}; shift
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_domsnap
	printf '<%s>' "${COMPREPLY[@]}"; echo
}
try 'domsnap snapshot-list web\ ' domsnap snapshot-list 'web\ '
try 'domsnap snapshot-list $' domsnap snapshot-list '$'
try 'domsnap snapshot-list db:m' domsnap snapshot-list db : m
try 'domsnap disk-revert web\ 1 ' domsnap disk-revert 'web\ 1' ''
try 'domsnap snapshot-list --state=av' domsnap snapshot-list --state = av
`), `<web\ 1>`, `<\$\(touch\ pwned\)\;\'>`, "<main>", "<vda>", "<--state=available>")
}

func TestFish(t *testing.T) {
	want(t, inShell(t, "fish", `source $HERE/domsnap.fish
complete -C"domsnap snapshot-list we"
complete -C"domsnap snapshot-list db:"
complete -C"domsnap disk-revert web\\ 1 "
complete -C"domsnap snapshot-list --state=av"
touch descriptor.xml
complete -C"domsnap snapshot-create db:main descr"
`), "web 1\trunning", "db:main\trunning", "vda", "--state=available", "descriptor.xml")
}

// TestZsh has a terminal of its own: zsh completes nowhere else.
func TestZsh(t *testing.T) {
	out := inShell(t, "zsh", `zmodload zsh/zpty
zpty shell zsh -f -i
say() { zpty -w shell "$1" }
say 'unsetopt prompt_cr prompt_sp zle; PS1='
say 'fpath=($HERE $fpath); autoload -U compinit; compinit -u -D; setopt zle; zle -C one complete-word _main_complete; bindkey "^I" one'
for line in 'domsnap snapshot-list web' 'domsnap snapshot-list db' 'domsnap disk-revert web\ 1 ' 'domsnap snapshot-list --state=av'; do
	zpty -w -n shell "$line"$'\t\C-aprint -r -- "<" \C-e ">"\n'
	zpty -r -m shell out '*< *>*'
	print -r -- "$out"
done
`)
	for _, w := range []string{"< domsnap snapshot-list web 1 >", "< domsnap snapshot-list db:main >", "< domsnap disk-revert web 1 vda >", "< domsnap snapshot-list --state=available >"} {
		if !strings.Contains(out, w) {
			t.Errorf("%q is not in %q", w, out)
		}
	}
}
