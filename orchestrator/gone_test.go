package orchestrator_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/journal"
)

// undefine takes the domain away, and everything that it alone knew.
func (r *rig) undefine() {
	r.domain.edit(func(d *fakeDomain) {
		d.name, d.uuid, d.metadata = "other", "00000000-0000-4000-8000-00000000beef", ""
	})
}

func TestRecoverUndoesTheCreateOfADomainThatIsGone(t *testing.T) {
	for _, how := range []string{"by name", "by UUID"} {
		for _, p := range []memory.Point{memory.AfterPrepare, memory.AfterTake} {
			t.Run(how+" "+string(p), func(t *testing.T) {
				r := newRig(t)
				name := map[string]string{"by name": "web1", "by UUID": r.domain.uuid}[how]
				r.dieAt(p, "vdb")
				if len(r.store.Objects()) == 0 {
					t.Fatal("nothing was left behind")
				}
				r.undefine()
				did, err := r.Recover(t.Context(), name)
				if err != nil || len(did) != 1 || did[0].Domain != "web1" || len(did[0].Did) != 2 {
					t.Errorf("recover did %+v, %v", did, err)
				}
				_, err = r.Recover(t.Context(), name)
				wantError(t, err, orchestrator.ErrNotFound)
			})
		}
	}
}

// Of all domains, those that another hypervisor has would look gone as well.
func TestRecoverOfAllLeavesADomainThatIsGone(t *testing.T) {
	r := newRig(t)
	uuid := r.domain.uuid
	r.dieAt(memory.AfterTake, "vdb")
	before := len(r.store.Objects())
	r.undefine()
	did, err := r.Recover(t.Context(), "")
	wantError(t, err, orchestrator.ErrUnfinished, orchestrator.ErrNotFound)
	if len(did) > 0 || len(r.store.Objects()) != before {
		t.Errorf("recover did %+v", did)
	}
	wantHint(t, err, "domsnap recover "+uuid)
	if _, err := r.Recover(t.Context(), uuid); err != nil {
		t.Fatal(err)
	}
}

func TestRecoverOfADomainThatIsGoneKeepsWhatItCannotFinish(t *testing.T) {
	for name, leave := range map[string]func(*rig){
		"a create that the storage does not undo": func(r *rig) {
			r.dieAt(memory.AfterTake, "vdb")
			r.store.Fail(memory.AtDrop, "vda", errPlanned)
		},
		"a revert": func(r *rig) {
			r.take("one")
			r.store.Fail(memory.MidRevert, "vdb", errPlanned)
			_, err := r.off().Revert(t.Context(), revertTo("one"))
			wantError(t, err, orchestrator.ErrUnfinished)
		},
		"a delete": func(r *rig) {
			r.take("one")
			r.store.Fail(memory.AtDrop, "vdb", errPlanned)
			_, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
			wantError(t, err, orchestrator.ErrUnfinished)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			path := r.journal().Path(r.domain.uuid)
			leave(r)
			r.undefine()
			_, err := r.Recover(t.Context(), "web1")
			wantError(t, err, orchestrator.ErrUnfinished)
			if !strings.Contains(err.Error(), "vdb by memory (ds-") {
				t.Errorf("it does not say what was begun: %v", err)
			}
			wantHint(t, err, "remove "+path)
			if err := os.Remove(path); err != nil {
				t.Errorf("the journal: %v", err)
			}
			r.orphans = r.store.Objects()
		})
	}
}

func TestRecoverOfADamagedJournalSaysWhatToDo(t *testing.T) {
	for _, gone := range []bool{false, true} {
		for _, asked := range []string{"", "by UUID"} {
			r := newRig(t)
			r.beginJournal(journal.Revert, "")
			path := r.journal().Path(r.domain.uuid)
			if err := os.Truncate(path, 40); err != nil {
				t.Fatal(err)
			}
			if asked != "" {
				asked = r.domain.uuid
			}
			if gone {
				r.undefine()
			}
			_, err := r.Recover(t.Context(), asked)
			wantError(t, err, orchestrator.ErrUnfinished, journal.ErrDamaged)
			wantHint(t, err, "remove "+path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRecoveredDomainThatDoesNotStartIsNotUnfinished(t *testing.T) {
	r := twoSnapshots(t)
	r.enter(orchestrator.Running)
	opts := revertTo("one")
	opts.Force = true
	r.breakRevert(opts)
	r.domain.edit(func(d *fakeDomain) { d.startFails = errStart })
	_, err := r.Recover(t.Context(), "web1")
	wantError(t, err, orchestrator.ErrRefused, errStart)
	if errors.Is(err, orchestrator.ErrUnfinished) {
		t.Errorf("recover would have nothing to do: %v", err)
	}
	r.wantContent("a one", "b one")
}

func wantHint(t *testing.T, err error, want string) {
	t.Helper()
	var p *orchestrator.Problem
	if !errors.As(err, &p) || !strings.Contains(p.Hint, want) {
		t.Errorf("the hint of %v is %+v, want %q", err, p, want)
	}
}
