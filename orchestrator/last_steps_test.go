package orchestrator_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/orchestrator"
)

// lastSteps are the verbs that write the lineage and end the journal, on a domain that is off with the snapshots one and two.
var lastSteps = []struct {
	name string
	run  func(context.Context, *rig) error
	// undone and done are the snapshots without it, and with it; content is what the disks have once it was begun.
	undone, done []string
	content      string
}{
	{"create", func(ctx context.Context, r *rig) error {
		_, err := r.Create(ctx, orchestrator.CreateOptions{Domain: "web1", Name: "new"})
		return err
	}, []string{"one", "two"}, []string{"one", "two", "new"}, "now"},
	{"revert", func(ctx context.Context, r *rig) error {
		_, err := r.Revert(ctx, revertTo("one"))
		return err
	}, []string{"one", "two"}, []string{"one", "two"}, "one"},
	{"delete", func(ctx context.Context, r *rig) error {
		_, err := r.Delete(ctx, orchestrator.DeleteOptions{Domain: "web1", Snapshot: "one"})
		return err
	}, []string{"two"}, []string{"two"}, "now"},
}

// TestRecordThatTakesTooLongIsLeftToRecover: whether it was written is not known, so nothing is undone.
func TestRecordThatTakesTooLongIsLeftToRecover(t *testing.T) {
	for _, v := range lastSteps {
		for how, silence := range map[string]error{"does not come": errLost, "comes unheard": errUnheard} {
			t.Run(v.name+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := twoSnapshots(t)
					r.domain.writeFails = func() error { return silence }
					if v.name != "create" {
						r.domain.writeFails = behindTheFirst(silence)
					}
					wantError(t, v.run(t.Context(), r), orchestrator.ErrUnfinished, context.DeadlineExceeded)
					r.domain.writeFails = nil
					r.recover()
					want := v.done
					if errors.Is(silence, errLost) {
						want = v.undone
					}
					r.wantNames(want...)
					r.wantContent("a "+v.content, "b "+v.content)
				})
			})
		}
	}
}

// stuckJournal is a journal that cannot be removed when that is to be done; free lets it be.
func (r *rig) stuckJournal() (_ context.Context, free func()) {
	path := r.journal().Path(r.domain.uuid)
	aside := filepath.Join(r.dir, "aside")
	swap := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			r.t.Error(err)
		}
	}
	stuck := false
	ctx := trace.With(r.t.Context(), func(act string, ended bool) {
		if act != "end the journal" || ended || stuck {
			return
		}
		stuck = true
		swap(path, aside)
		// Nobody, root included, unlinks a directory that has something.
		if err := os.MkdirAll(filepath.Join(path, "something"), 0o700); err != nil {
			r.t.Error(err)
		}
	})
	return ctx, func() {
		if err := os.RemoveAll(path); err != nil {
			r.t.Error(err)
		}
		swap(aside, path)
	}
}

// TestJournalThatCannotBeRemovedIsLeftToRecover: everything is done but for that.
func TestJournalThatCannotBeRemovedIsLeftToRecover(t *testing.T) {
	for _, v := range lastSteps {
		t.Run(v.name, func(t *testing.T) {
			r := twoSnapshots(t)
			ctx, free := r.stuckJournal()
			err := v.run(ctx, r)
			free()
			wantError(t, err, orchestrator.ErrUnfinished)
			before := r.lineage()
			if did := r.recover(); len(did) != 1 {
				t.Errorf("recover did %+v", did)
			}
			after := r.lineage()
			after.Rev = before.Rev
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("recover changed what was complete: %s", diff)
			}
			r.wantNames(v.done...)
			r.wantContent("a "+v.content, "b "+v.content)
		})
	}
}
