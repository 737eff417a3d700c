package orchestrator_test

import (
	"os"
	"testing"

	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/journal"
)

func TestRecoverWithoutWorkDoesNothing(t *testing.T) {
	r := newRig(t)
	for _, domain := range []string{"", "web1"} {
		did, err := r.Recover(t.Context(), domain)
		if err != nil || did == nil || len(did) > 0 {
			t.Errorf("recover of %q did %#v, %v", domain, did, err)
		}
	}
}

func TestJournalThatCannotBeReadStopsEverythingThatChanges(t *testing.T) {
	for name, spoil := range map[string]func(string) error{
		"torn":             func(path string) error { return os.Truncate(path, 40) },
		"of another day":   func(path string) error { return os.WriteFile(path, []byte(`{"sha256":"00","intent":{}}`), 0o600) },
		"an unknown verb":  nil,
		"with other bytes": func(path string) error { return os.WriteFile(path, []byte("\x00\x00"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.beginJournal("shred", "none")
			path := r.journal().Path(r.domain.uuid)
			if spoil != nil {
				if err := spoil(path); err != nil {
					t.Fatal(err)
				}
			}
			_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
			wantError(t, err, orchestrator.ErrUnfinished)
			if _, err := r.Recover(t.Context(), ""); err == nil {
				t.Error("recover did something")
			}
			if err := r.journal().End(r.domain.uuid); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestWhatLibvirtOnlyShowsIsWrittenByRecover: libvirt was told, could not write it to its file, and shows it until its daemon
// ends.
func TestWhatLibvirtOnlyShowsIsWrittenByRecover(t *testing.T) {
	create := func(r *rig) error {
		_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "two"})
		return err
	}
	remove := func(r *rig) error {
		_, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
		return err
	}
	for name, c := range map[string]struct {
		act    func(*rig) error
		writes int // before that which counts
		want   []string
	}{"create": {create, 0, []string{"one", "two"}}, "delete": {remove, 1, nil}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.take("one")
			r.domain.writeFails = func() error {
				r.domain.full = c.writes == 0
				c.writes--
				return nil
			}
			wantError(t, c.act(r), orchestrator.ErrUnfinished, errPlanned)
			r.domain.writeFails, r.domain.full = nil, false
			r.recover()
			r.domain.daemonEnds()
			r.wantNames(c.want...)
		})
	}
}

func TestRecoverGoesOnToTheNextDomain(t *testing.T) {
	r := newRig(t)
	gone := journal.Intent{Verb: journal.Create, Domain: "gone", UUID: "00000000-0000-4000-8000-00000000dead"}
	if err := r.journal().Begin(gone); err != nil {
		t.Fatal(err)
	}
	r.store.Fail(memory.AfterTake, "vdb", errPlanned)
	r.store.Fail(memory.AtDrop, "vda", errPlanned)
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1"})
	wantError(t, err, orchestrator.ErrUnfinished)
	r.store.Fail(memory.AtDrop, "vda", nil)

	did, err := r.Recover(t.Context(), "")
	if len(did) != 1 || did[0].Domain != "web1" {
		t.Errorf("recover did %+v", did)
	}
	wantError(t, err, orchestrator.ErrNotFound)
	if err := r.journal().End(gone.UUID); err != nil {
		t.Fatal(err)
	}
}

func TestRecoverUndoesACreateThatDiedAnywhere(t *testing.T) {
	for _, p := range []memory.Point{memory.AtPrepare, memory.AfterPrepare, memory.AtTake, memory.AfterTake, memory.AtStat} {
		t.Run(string(p), func(t *testing.T) {
			r := newRig(t)
			r.dieAt(p, "vdb")
			r.recover()
			r.wantNames()
		})
	}
}

// breakRevert ends a revert half-way through the disk vdb.
func (r *rig) breakRevert(opts orchestrator.RevertOptions) {
	r.t.Helper()
	r.store.Fail(memory.MidRevert, "vdb", errPlanned)
	_, err := r.Revert(r.t.Context(), opts)
	wantError(r.t, err, orchestrator.ErrUnfinished)
	r.store.Fail(memory.MidRevert, "vdb", nil)
}

// dieAt ends a create of the snapshot one as SIGKILL does: at once, with nothing undone. The guardian lets the guest go.
func (r *rig) dieAt(p memory.Point, target string) {
	r.t.Helper()
	r.store.Fail(p, target, errPlanned)
	for _, disk := range []string{"vda", "vdb"} {
		r.store.Fail(memory.AtDrop, disk, errPlanned)
	}
	_, err := r.Create(r.t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one"})
	wantError(r.t, err, orchestrator.ErrUnfinished)
	for _, disk := range []string{"vda", "vdb"} {
		r.store.Fail(memory.AtDrop, disk, nil)
	}
}
