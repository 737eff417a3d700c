package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// safeDir is a directory that only its owner and root can swap, which those for temporary files are not.
func safeDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(home(t), ".engines")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// home is a directory to begin with.
func home(t *testing.T) string {
	t.Helper()
	candidates := []string{"/var/lib", os.Getenv("HOME"), "."}
	for _, dir := range candidates {
		if dir, err := filepath.Abs(dir); err == nil && trusted(dir+"/none") != nil {
			probe, err := os.CreateTemp(dir, ".probe")
			if err != nil {
				continue
			}
			defer func() { _, _ = probe.Close(), os.Remove(probe.Name()) }()
			if err := probe.Chmod(0o755); err == nil && trusted(probe.Name()) == nil {
				return dir
			}
		}
	}
	t.Fatalf("none of %q is this user's alone", candidates)
	return ""
}

func install(t *testing.T, path string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir, file string) string
		want  string
	}{
		"as it should be":      {func(*testing.T, string, string) string { return "" }, ""},
		"file others write":    {func(t *testing.T, _, f string) string { must(t, os.Chmod(f, 0o757)); return "" }, "write to .*domsnap-method-x"},
		"file group writes":    {func(t *testing.T, _, f string) string { must(t, os.Chmod(f, 0o775)); return "" }, "write to .*domsnap-method-x"},
		"not executable":       {func(t *testing.T, _, f string) string { must(t, os.Chmod(f, 0o644)); return "" }, "not executable"},
		"of another user":      {func(t *testing.T, _, f string) string { must(t, os.Chown(f, 12345, -1)); return "" }, "user 12345"},
		"directory of another": {func(t *testing.T, d, _ string) string { must(t, os.Chown(d, 12345, -1)); return "" }, "user 12345"},
		"directory others write": {func(t *testing.T, d, _ string) string {
			must(t, os.Chmod(d, 0o777))
			return ""
		}, "write to .*engines"},
		"sticky directory": {func(t *testing.T, d, _ string) string {
			must(t, os.Chmod(d, 0o777|os.ModeSticky))
			return ""
		}, "write to"},
		"parent others write": {func(t *testing.T, d, _ string) string {
			must(t, os.Chmod(filepath.Dir(d), 0o777))
			return ""
		}, "write to"},
		"a directory": {func(_ *testing.T, d, _ string) string { return d }, "not a regular file"},
		"a pipe": {func(t *testing.T, d, _ string) string {
			p := d + "/fifo"
			must(t, unix.Mkfifo(p, 0o755))
			return p
		}, "not a regular file"},
		"nothing":      {func(_ *testing.T, d, _ string) string { return d + "/none" }, "no such file"},
		"not absolute": {func(*testing.T, string, string) string { return "x" }, "not an absolute path"},
		"a link to a good one": {func(t *testing.T, d, f string) string {
			must(t, os.Symlink(filepath.Base(f), d+"/link"))
			return d + "/link"
		}, ""},
		"a link through a directory others write": {func(t *testing.T, d, f string) string {
			open := filepath.Join(filepath.Dir(d), "open")
			must(t, os.Mkdir(open, 0o755))
			must(t, os.Chmod(open, 0o777))
			must(t, os.Symlink(f, open+"/b"))
			must(t, os.Symlink("../open/b", d+"/link"))
			return d + "/link"
		}, "write to .*open"},
		"a link to itself": {func(t *testing.T, d, _ string) string {
			must(t, os.Symlink("link", d+"/link"))
			return d + "/link"
		}, "too many symbolic links"},
		"a link to what is for others to write": {func(t *testing.T, d, _ string) string {
			must(t, os.Symlink("/tmp", d+"/link"))
			return d + "/link/x"
		}, "write to /tmp"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(safeDir(t), "engines")
			must(t, os.Mkdir(dir, 0o755))
			file := install(t, dir+"/"+Prefix+"x")
			if other := c.spoil(t, dir, file); other != "" {
				file = other
			}
			err := trusted(file)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !regexp.MustCompile(c.want).MatchString(err.Error())) {
				t.Errorf("it says %v, want %q", err, c.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	one, two := safeDir(t), safeDir(t)
	install(t, one+"/"+Prefix+"a")
	install(t, one+"/"+Prefix+"lvm")
	install(t, one+"/"+Prefix+"Big")
	install(t, one+"/other")
	install(t, two+"/"+Prefix+"a")
	install(t, two+"/"+Prefix+"b")
	must(t, os.Chmod(two+"/"+Prefix+"b", 0o666))
	found, err := Find([]string{one, "/none", two}, []string{"lvm"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range found {
		if f.Refused == nil {
			got[f.Name+" "+f.Path] = ""
		} else {
			got[f.Name+" "+f.Path] = f.Refused.Error()
		}
	}
	for key, want := range map[string]string{
		"a " + one + "/" + Prefix + "a":              "^$",
		Prefix + "lvm " + one + "/" + Prefix + "lvm": "another method called lvm",
		Prefix + "Big " + one + "/" + Prefix + "Big": "cannot be called .Big",
		Prefix + "a " + two + "/" + Prefix + "a":     "another method called a",
		"b " + two + "/" + Prefix + "b":              "may write to",
	} {
		if said, ok := got[key]; !ok || !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("%s: found %t, %q, want %q", key, ok, said, want)
		}
	}
	if len(got) != 5 {
		t.Errorf("it found %q", got)
	}
}

// A refused engine must not be run, and must not be taken for a built-in.
func TestRefusedEngineIsShownAndNotRun(t *testing.T) {
	dir := safeDir(t)
	proof := dir + "/ran"
	for _, name := range []string{"lvm", "open"} {
		must(t, os.WriteFile(dir+"/"+Prefix+name, []byte("#!/bin/sh\ntouch "+proof+"\n"), 0o755))
	}
	must(t, os.Chmod(dir+"/"+Prefix+"open", 0o777))
	found, err := Find([]string{dir}, []string{"lvm"})
	must(t, err)
	set := LoadAll(t.Context(), found, short)
	if _, err := set.Get("lvm", ""); err == nil {
		t.Error("it is called lvm")
	}
	for _, m := range set {
		if err := methods.CheckHost(t.Context(), m); err == nil {
			t.Errorf("%s works", m.Traits().Name)
		}
	}
	if _, err := os.Stat(proof); err == nil {
		t.Error("it was run")
	}
}

// TestNobodySwapsATrustedEngine: who could put another program in its place after the check would have been told before.
func TestNobodySwapsATrustedEngine(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	file := install(t, filepath.Join(safeDir(t), Prefix+"x"))
	must(t, os.Chmod(filepath.Dir(file), 0o755))
	must(t, trusted(file))
	before, err := os.ReadFile(file)
	must(t, err)
	for _, attempt := range []string{
		`echo evil > "$0"`, `echo evil >> "$0"`, `rm -f "$0"`, `mv "$0" "$0.x"`, `ln -sf /tmp/evil "$0"`, `cp -f /bin/true "$0"`, `chmod 777 "$0"`,
		`mv "$(dirname "$0")" "$(dirname "$0").x"`, `touch "$(dirname "$0")/domsnap-method-evil"`, `rmdir "$(dirname "$0")"`,
	} {
		cmd := exec.Command("/bin/sh", "-c", attempt, file)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("nobody did %s: %s", attempt, out)
		}
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) || trusted(file) != nil {
		t.Errorf("it was swapped: %v", err)
	}
}
