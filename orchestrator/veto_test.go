package orchestrator_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/orchestrator/shield"
	"github.com/domsnap/domsnap/xmlspec"
)

func TestVetoIsOnlyForARevertThatHasNotEnded(t *testing.T) {
	for _, c := range []struct {
		name   string
		intent journal.Intent
		vetoed bool
	}{
		{"a revert", journal.Intent{Verb: journal.Revert}, true},
		{"a revert whose disks are all done", journal.Intent{Verb: journal.Revert, Reverted: true}, false},
		{"a revert that has touched no disk", journal.Intent{Verb: journal.Revert, PowerOff: true}, false},
		{"a create", journal.Intent{Verb: journal.Create}, false},
		{"a delete", journal.Intent{Verb: journal.Delete}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t).off()
			c.intent.Domain, c.intent.UUID = "web1", r.domain.uuid
			if err := r.journal().Begin(c.intent); err != nil {
				t.Fatal(err)
			}
			err := r.domain.Start(t.Context(), false)
			if vetoed := errors.Is(err, orchestrator.ErrUnfinished); vetoed != c.vetoed || !vetoed && err != nil {
				t.Errorf("the start ended with %v", err)
			}
			if c.vetoed && !strings.Contains(err.Error(), "domain web1 is half-reverted: run domsnap recover web1") {
				t.Errorf("it says %v", err)
			}
			if err := r.journal().End(r.domain.uuid); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestVetoOfAJournalThatCannotBeRead(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"torn":        func(path string) error { return os.Truncate(path, 40) },
		"empty":       func(path string) error { return os.Truncate(path, 0) },
		"a directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).off()
			// Whatever it was: nobody can tell any more.
			r.beginJournal(journal.Create, "")
			files, err := filepath.Glob(r.dir + "/journal/*")
			if err != nil || len(files) != 1 {
				t.Fatalf("the journal has %q, %v", files, err)
			}
			if err := spoil(files[0]); err != nil {
				t.Fatal(err)
			}
			wantError(t, r.domain.Start(t.Context(), false), orchestrator.ErrUnfinished)
			if err := os.Remove(files[0]); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestVetoWithoutAnythingUnfinished(t *testing.T) {
	r := newRig(t)
	other := journal.Intent{Verb: journal.Revert, Domain: "web2", UUID: "00000000-0000-4000-8000-000000000002"}
	if err := r.journal().Begin(other); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{r.dir, t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if err := orchestrator.Veto(dir, r.domain.id()); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := r.journal().End(other.UUID); err != nil {
		t.Fatal(err)
	}
}

func TestHalfRevertedDomainDoesNotStart(t *testing.T) {
	r := twoSnapshots(t)
	r.enter(orchestrator.Running)
	opts := revertTo("one")
	opts.Force = true
	r.breakRevert(opts)
	wantError(t, r.domain.Start(t.Context(), false), orchestrator.ErrUnfinished)
	r.recover()
	r.wantState(orchestrator.Running)
	r.wantContent("a one", "b one")
}

// A start that libvirt let through before the journal was there must not go unnoticed.
func TestRevertOfADomainThatWasStartedMeanwhileChangesNothing(t *testing.T) {
	r := twoSnapshots(t)
	r.store.On(memory.AtCheckRevert, "vdb", func(context.Context) error {
		r.enter(orchestrator.Running)
		return nil
	})
	_, err := r.Revert(t.Context(), revertTo("one"))
	wantError(t, err, orchestrator.ErrFailed)
	r.wantState(orchestrator.Running)
	r.wantContent("a now", "b now")
	r.wantNoJournal()
}

// TestVetoOfAStartWithoutAnOverlay: only what would start without what its guest wrote last does not.
func TestVetoOfAStartWithoutAnOverlay(t *testing.T) {
	for _, c := range []struct {
		name    string
		written bool
		sources []string
		vetoed  bool
	}{
		{"nothing is in it", false, []string{"/img/vda"}, false},
		{"it is left out", true, []string{"/img/vda"}, true},
		{"it is there", true, nil, false},
	} {
		dir, id := t.TempDir(), xmlspec.DomainID{Name: "web1", UUID: "6f1d2c3b-0000-4000-8000-000000000001"}
		file := filepath.Join(dir, "shield", "libvirt-"+id.UUID, "ds-sone-vda.qcow2")
		sources := append(c.sources, file)[:1]
		for _, s := range sources {
			id.Sources = append(id.Sources, xmlspec.DiskFile{File: s})
		}
		err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, overlayOf(c.written), 0o600),
			journal.Journal{Dir: dir + "/journal"}.Begin(journal.Intent{
				Verb: journal.Create, UUID: id.UUID, Shield: []shield.Overlay{{File: file, Node: "ds-sone-vda"}},
			}))
		if err != nil {
			t.Fatal(err)
		}
		err = orchestrator.Veto(dir, id)
		if vetoed := errors.Is(err, orchestrator.ErrUnfinished); vetoed != c.vetoed || !vetoed && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// overlayOf is as much of a qcow2 image as says whether anything is in it: a header and the uppermost table behind it, which
// has one entry and begins at 512.
func overlayOf(written bool) []byte {
	text := make([]byte, 512+8)
	copy(text, "QFI\xfb\x00\x00\x00\x03")
	text[39], text[46] = 1, 2
	if written {
		text[512] = 0x80
	}
	return text
}
