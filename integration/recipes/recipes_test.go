package recipes

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const uuid, id = "6f1d2c3b-0000-4000-8000-000000000001", "s1b2c3d4"

// host is one with a snapshot of two disks.
type host struct {
	t   *testing.T
	dir string
}

func newHost(t *testing.T, domain, name string) *host {
	t.Helper()
	h := &host{t, t.TempDir()}
	self, err := os.Executable()
	check(t, err)
	for _, program := range []string{"domsnap", "nbdcopy", "restic", "borg"} {
		check(t, os.Symlink(self, filepath.Join(h.dir, program)))
	}
	info, err := json.Marshal(map[string]any{
		"domain": domain, "domain_uuid": uuid, "name": name, "id": id, "disks": []map[string]string{{"target": "vda"}, {"target": "vdb"}},
		"error": map[string]string{"message": "there is no such snapshot"},
	})
	check(t, err)
	h.write("info.json", info)
	return h
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *host) write(name string, text []byte) {
	h.t.Helper()
	check(h.t, os.WriteFile(filepath.Join(h.dir, name), text, 0o600))
}

// run gives what was stored, as the words of the call and what was read.
func (h *host) run(recipe string, args ...string) (stored []string, said string, err error) {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), "./"+recipe, args...)
	cmd.Env = append(os.Environ(), fakeDir+"="+h.dir, "TMPDIR="+h.dir, "PATH="+h.dir+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	text, _ := os.ReadFile(filepath.Join(h.dir, "stored"))
	for line := range strings.Lines(string(text)) {
		var r record
		check(h.t, json.Unmarshal([]byte(line), &r))
		stored = append(stored, strings.Join(r.Args, " ")+" "+r.Content)
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, "tmp.*")); len(left) > 0 {
		h.t.Errorf("left is %q", left)
	}
	return stored, string(out), err
}

func (h *host) want(got []string, want ...string) {
	h.t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		h.t.Errorf("stored was\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func resticCall(tag, file, content string) string {
	return "backup --quiet --tag " + tag + " --stdin-filename " + file + " --stdin-from-command -- " + content
}

func borgCall(archive, file, content string) string {
	return "create --comment " + id + " --stdin-name " + file + " --content-from-command -- ::" + archive + " " + content
}

func TestEachDiskIsRead(t *testing.T) {
	h := newHost(t, "web1", "nightly")
	got, said, err := h.run("restic-backup", "web1", "nightly")
	if err != nil {
		t.Fatal(said)
	}
	h.want(got, resticCall("nightly", "web1.snapshot.xml", "<domainsnapshot/>"),
		resticCall("nightly", "web1.vda.raw", "content"), resticCall("nightly", "web1.vdb.raw", "content"))
	h = newHost(t, "web1", "nightly")
	got, said, err = h.run("borg-backup", "web1", "nightly", "vdb")
	if err != nil {
		t.Fatal(said)
	}
	h.want(got, borgCall("web1.nightly.xml", "snapshot.xml", "<domainsnapshot/>"), borgCall("web1.nightly.vdb", "vdb.raw", "content"))
}

// TestHostileNamesAreNotUsed: a backup program has its own signs.
func TestHostileNamesAreNotUsed(t *testing.T) {
	for _, name := range []string{"$(touch pwned)", "{now}", "-rf", "a::b", "a,b", "../up", "a b", "new\nline", "*", "ä/"} {
		h := newHost(t, name, name)
		got, said, err := h.run("borg-backup", name, name, "vda")
		if err != nil {
			t.Fatal(said)
		}
		h.want(got, borgCall(uuid+"."+id+".xml", "snapshot.xml", "<domainsnapshot/>"), borgCall(uuid+"."+id+".vda", "vda.raw", "content"))
	}
}

func TestWhatIsNotReadToItsEndIsNotStored(t *testing.T) {
	for _, recipe := range []string{"restic-backup", "borg-backup"} {
		for what, says := range map[string]string{
			"snapshot-info":   "there is no such snapshot",
			"snapshot-export": "disk vda of web1 nightly is not served",
			"nbdcopy":         "exit status 1",
		} {
			h := newHost(t, "web1", "nightly")
			h.write(what+".broken", nil)
			got, said, err := h.run(recipe, "web1", "nightly", "vda")
			if err == nil || !strings.Contains(said, says) || len(got) > 1 {
				t.Errorf("%s with a broken %s ended with %v, and stored %q: %s", recipe, what, err, got, said)
			}
		}
	}
}
