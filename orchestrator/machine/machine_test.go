package machine_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator/machine"
)

// host has a machine with firmware and a TPM, as libvirt lays them out.
type host struct {
	t     *testing.T
	dir   string
	store machine.Store
	state machine.State
}

var first = machine.Snapshot{Domain: "6f1d2c3b", ID: "sone"}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{t: t, dir: dir, store: machine.Store{Dir: filepath.Join(dir, "state", "machines")}, state: machine.State{
		Definition: "<domain/>",
		Parts: []machine.Part{
			{Name: machine.NVRAM, Path: filepath.Join(dir, "web1_VARS.fd")},
			{Name: machine.TPM, Path: filepath.Join(dir, "swtpm")},
		},
	}}
	h.write("web1_VARS.fd", "boot from disk")
	h.write("swtpm/tpm2/tpm2-00.permall", "keys")
	return h
}

func (h *host) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o711), os.WriteFile(path, []byte(text), 0o640))
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) keep(of machine.Snapshot) *machine.Keeping {
	h.t.Helper()
	k, err := h.store.Keep(of, h.state)
	if err != nil {
		h.t.Fatal(err)
	}
	return k
}

func (h *host) finish(k *machine.Keeping) {
	h.t.Helper()
	if err := k.Finish(); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) restore() {
	h.t.Helper()
	if err := errors.Join(h.store.Stage(first, h.state.Parts), h.store.Swap(h.state.Parts)); err != nil {
		h.t.Fatal(err)
	}
}

// files are all files and directories of the machine, with their modes and what is in them.
func (h *host) files() []string {
	h.t.Helper()
	var all []string
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == "state" {
			return fs.SkipDir
		}
		info, err := d.Info()
		line := strings.TrimPrefix(path, h.dir) + " " + info.Mode().String()
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(text)
		}
		all = append(all, line)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	if len(all) < 2 {
		return nil
	}
	return all[1:]
}

func (h *host) want(want []string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.files()); diff != "" {
		h.t.Errorf("the machine: %s", diff)
	}
}

func TestRestoreIsExactAndRepeatable(t *testing.T) {
	h := newHost(t)
	before := h.files()
	h.finish(h.keep(first))
	h.write("web1_VARS.fd", "boot from network, and longer than before")
	h.write("swtpm/tpm2/tpm2-00.permall", "other keys")
	h.write("swtpm/tpm2/extra", "more")
	for range 2 {
		h.restore()
		h.want(before)
	}
	if err := h.store.Discard(h.state.Parts); err != nil {
		t.Fatal(err)
	}
	h.want(nil)
	h.restore()
	h.want(before)
	if err := errors.Join(h.store.Stage(first, h.state.Parts), h.store.Unstage(h.state.Parts)); err != nil {
		t.Fatal(err)
	}
	h.want(before)
}

func TestRenewSeesWhatHasChanged(t *testing.T) {
	h := newHost(t)
	k := h.keep(first)
	// Of the same length, and at once: only a clock tells them apart.
	h.write("web1_VARS.fd", "boot from tape")
	h.write("swtpm/tpm2/new", "state")
	if err := k.Renew(); err != nil {
		t.Fatal(err)
	}
	want := h.files()
	h.finish(k)
	h.write("web1_VARS.fd", "something else")
	h.restore()
	h.want(want)
}

func TestWhatIsKept(t *testing.T) {
	h := newHost(t)
	if _, err := h.store.Parts(first); !errors.Is(err, machine.ErrNotKept) {
		t.Errorf("parts of nothing: %v", err)
	}
	k := h.keep(first)
	if _, err := h.store.Definition(first); !errors.Is(err, machine.ErrNotKept) {
		t.Errorf("the definition of what is not finished: %v", err)
	}
	h.finish(k)
	parts, err := h.store.Parts(first)
	if diff := cmp.Diff([]string{"nvram", "tpm"}, parts); err != nil || diff != "" {
		t.Errorf("parts: %v, %s", err, diff)
	}
	if diff := cmp.Diff(parts, k.Names()); diff != "" {
		t.Errorf("names: %s", diff)
	}
	if text, err := h.store.Definition(first); err != nil || text != "<domain/>" {
		t.Errorf("definition %q, %v", text, err)
	}
	if info, err := os.Stat(h.store.Path(first)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the store is open to others: %v, %v", info, err)
	}
}

func TestWhatIsNotThereIsLeftOut(t *testing.T) {
	h := newHost(t)
	if err := os.RemoveAll(h.state.Parts[1].Path); err != nil {
		t.Fatal(err)
	}
	k := h.keep(first)
	h.finish(k)
	if diff := cmp.Diff([]string{"nvram"}, k.Names()); diff != "" {
		t.Errorf("names: %s", diff)
	}
	if err := h.store.Stage(first, h.state.Parts); !errors.Is(err, machine.ErrNotKept) {
		t.Errorf("restore what was not kept: %v", err)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	h := newHost(t)
	second := machine.Snapshot{Domain: first.Domain, ID: "stwo"}
	h.finish(h.keep(first))
	h.keep(second)
	ids, err := h.store.Snapshots(first.Domain)
	if diff := cmp.Diff([]string{"sone", "stwo"}, ids); err != nil || diff != "" {
		t.Errorf("snapshots: %v, %s", err, diff)
	}
	for _, of := range []machine.Snapshot{first, second, second} {
		if err := h.store.Remove(of); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(h.store.Dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// Who owns the directory of a machine's state must not have us read what is ours.
func TestLinksLeadNowhere(t *testing.T) {
	h := newHost(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"swtpm/tpm2/link", "web1_VARS.fd"} {
		path := filepath.Join(h.dir, link)
		_ = os.Remove(path)
		if err := os.Symlink(secret, path); err != nil {
			t.Fatal(err)
		}
	}
	k, err := h.store.Keep(first, h.state)
	if err == nil {
		err = k.Finish()
	}
	if err == nil {
		t.Error("the link for firmware was followed or left out in silence")
	}
	text := ""
	_ = filepath.WalkDir(h.store.Dir, func(path string, _ fs.DirEntry, _ error) error {
		content, _ := os.ReadFile(path)
		text += string(content)
		return nil
	})
	if strings.Contains(text, "secret") {
		t.Error("the store has what a link leads to")
	}
}

func TestTooLargeIsNoFirmware(t *testing.T) {
	h := newHost(t)
	if err := os.Truncate(h.state.Parts[0].Path, 1<<30); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Keep(first, h.state); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error is %v", err)
	}
}
