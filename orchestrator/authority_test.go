package orchestrator_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/journal"
)

// behindTheFirst fails every write but the first, which only shows that there may be more.
func behindTheFirst(err error) func() error {
	first := true
	return func() error {
		if first {
			first = false
			return nil
		}
		return err
	}
}

// TestWithoutTheRightToWriteNothingIsDone: who may read a domain and not change it learns that before anything is
// destroyed, and before the domain is powered off.
func TestWithoutTheRightToWriteNothingIsDone(t *testing.T) {
	for name, act := range map[string]func(*rig) error{
		"revert": func(r *rig) error {
			opts := revertTo("one")
			opts.Force = true
			_, err := r.Revert(r.t.Context(), opts)
			return err
		},
		"delete": func(r *rig) error {
			_, err := r.Delete(r.t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one", Children: true})
			return err
		},
		"create": func(r *rig) error {
			_, err := r.Create(r.t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "three"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := twoSnapshots(t)
			r.enter(orchestrator.Running)
			before := r.store.Objects()
			r.domain.writeFails = func() error { return errPlanned }
			wantError(t, act(r), errPlanned)
			if diff := cmp.Diff(before, r.store.Objects()); diff != "" {
				t.Errorf("the storage: %s", diff)
			}
			r.wantContent("a now", "b now")
			r.wantState(orchestrator.Running)
			r.wantNoJournal()
			r.wantUnheld()
		})
	}
}

func TestStateOthersMayWriteToIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"everybody": func(dir string) error { return os.Chmod(dir, 0o777) },
		"a group":   func(dir string) error { return os.Chmod(dir, 0o770) },
		"sticky":    func(dir string) error { return os.Chmod(dir, 0o777|os.ModeSticky) },
		"a user": func(dir string) error {
			if os.Geteuid() != 0 {
				return os.Chmod(dir, 0o777)
			}
			return os.Chown(dir, 12345, -1)
		},
	} {
		r := newRig(t)
		if err := spoil(r.dir); err != nil {
			t.Fatal(err)
		}
		_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one"})
		if wantError(t, err, orchestrator.ErrRefused); len(r.store.Objects()) > 0 {
			t.Errorf("%s: something was made", name)
		}
	}
}

// TestJournalThatContradictsItselfIsNotFollowed: it is checked as what comes from elsewhere is.
func TestJournalThatContradictsItselfIsNotFollowed(t *testing.T) {
	for name, spoil := range map[string]func(*journal.Intent){
		"another domain's": func(i *journal.Intent) { i.UUID = "6f1d2c3b-0000-4000-8000-000000000002" },
		"no disks":         func(i *journal.Intent) { i.Disks = nil },
		"no ways":          func(i *journal.Intent) { i.Hows = nil },
		"none kept":        func(i *journal.Intent) { i.Safety = "skept" },
		"an unknown verb":  func(i *journal.Intent) { i.Verb = "format" },
		"an unknown method": func(i *journal.Intent) {
			i.Refs[0].Method = "../x"
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := twoSnapshots(t)
			disk := methods.Disk{Target: "vda"}
			i := journal.Intent{
				Verb: journal.Revert, Domain: "web1", UUID: r.domain.uuid, Snapshot: r.lineage().Snapshots[0].ID,
				Refs: []methods.Ref{{Method: "memory", Disk: disk}}, Disks: []methods.Disk{disk}, Hows: []methods.How{methods.HowNative},
			}
			spoil(&i)
			j := r.journal()
			file := j.Path(r.domain.uuid)
			if err := j.Begin(i); err != nil {
				t.Fatal(err)
			}
			// Also where it is not at its place.
			_ = os.Rename(j.Path(i.UUID), file)
			if did, err := r.Recover(t.Context(), ""); err == nil {
				t.Errorf("it was followed: %v", did)
			}
			r.wantContent("a now", "b now")
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		})
	}
}
