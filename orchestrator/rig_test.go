package orchestrator_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/quiesce/quiescetest"
	"github.com/domsnap/domsnap/xmlspec"
)

var errPlanned = errors.New("planned")

// rig is a running domain, web1, with the disks vda and vdb in memory, and everything an orchestrator needs.
type rig struct {
	*orchestrator.Orchestrator
	t      *testing.T
	host   *fakeHost
	domain *fakeDomain
	guest  *quiescetest.Guest
	store  *memory.Store
	dir    string
	// guardian is the last one that was started.
	guardian *quiescetest.Guardian
	mu       sync.Mutex
	// orphans are objects that a test leaves behind on purpose.
	orphans []string
	// steps are what was done, in order.
	steps []string
	// listen is told what is done, besides.
	listen func(orchestrator.Event)
	clock  time.Time
	// serve stands in for the server that exports are read from.
	serve func(context.Context, image.Export) error
}

// newRig makes a rig, and looks for leftovers when the test is over. Methods beside memory share its store.
func newRig(t *testing.T, more ...func(*rig) methods.Method) *rig {
	t.Helper()
	r := &rig{
		t: t, guest: quiescetest.NewGuest(), store: memory.NewStore(), dir: t.TempDir(),
		clock: time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC),
	}
	r.domain = &fakeDomain{Guest: r.guest, name: "web1", uuid: "6f1d2c3b-0000-4000-8000-000000000001", on: true}
	r.domain.hook = func() error { return orchestrator.Veto(r.dir, r.domain.id()) }
	r.host = &fakeHost{domain: r.domain}
	for _, target := range []string{"vda", "vdb"} {
		r.addDisk(fakeDisk{target: target, file: memory.Prefix + target}, target+" zero")
	}
	set := methods.Set{memory.New(r.store, memory.Options{})}
	for _, make := range more {
		set = append(set, make(r))
	}
	r.Orchestrator = r.orchestrator(set)
	t.Cleanup(r.checkNothingLeft)
	return r
}

func (r *rig) orchestrator(set methods.Set) *orchestrator.Orchestrator {
	return orchestrator.New(orchestrator.Config{
		Hypervisor: r.host, Methods: set, DiskAccess: r.store, StateDir: r.dir,
		Guardian: func(context.Context, methods.Domain, *os.File) (orchestrator.GuardianProcess, error) {
			r.guardian = &quiescetest.Guardian{Log: r.guest.Log}
			return r.guardian, nil
		},
		Serve: func(ctx context.Context, e image.Export) error { return r.serve(ctx, e) },
		Watch: r.watch,
		Now: func() time.Time {
			r.clock = r.clock.Add(time.Second)
			return r.clock
		},
	})
}

func (r *rig) watch(e orchestrator.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listen != nil {
		r.listen(e)
	}
	if e.Done {
		r.steps = append(r.steps, e.Step)
	}
}

// listenToProgress keeps how many bytes each step says last that it has done.
func (r *rig) listenToProgress() map[string]int64 {
	told := map[string]int64{}
	r.listen = func(e orchestrator.Event) {
		if e.Total > 0 {
			told[e.Step] = e.Current
		}
	}
	return told
}

func (r *rig) addDisk(d fakeDisk, content string) {
	r.domain.edit(func(dom *fakeDomain) { dom.disks = append(dom.disks, d) })
	if d.file != "" {
		r.store.SetDisk(d.file, []byte(content))
	}
}

// checkNothingLeft is the rule of the house: whatever a test did, no work is open, nobody is held, and the storage
// has what the lineage says, no more and no less.
func (r *rig) checkNothingLeft() {
	r.wantNoJournal()
	if r.guest.Held() && r.domain.state() != orchestrator.Paused {
		r.t.Error("the guest is held")
	}
	if r.guardian != nil && (r.guardian.Responsible() || !r.guardian.Dismissed()) {
		r.t.Error("the guardian is left behind")
	}
	r.wantObjectsAsRecorded()
	r.wantMachinesAsRecorded()
}

func (r *rig) wantNoJournal() {
	r.t.Helper()
	left, err := filepath.Glob(filepath.Join(r.dir, "journal", "*"))
	if err != nil || len(left) > 0 {
		r.t.Errorf("the journal has %q, %v", left, err)
	}
}

func (r *rig) wantObjectsAsRecorded() {
	r.t.Helper()
	recorded := slices.Clone(r.orphans)
	for _, s := range r.lineage().Snapshots {
		for _, d := range s.Disks {
			recorded = append(recorded, d.Name)
		}
	}
	slices.Sort(recorded)
	if diff := cmp.Diff(recorded, r.store.Objects()); diff != "" {
		r.t.Errorf("the lineage (-) and the storage (+) differ: %s", diff)
	}
}

func (r *rig) wantUnheld() {
	r.t.Helper()
	if r.guest.Held() {
		r.t.Error("the guest is held")
	}
}

// lineage reads what is recorded, past the orchestrator.
func (r *rig) lineage() *xmlspec.Lineage {
	r.t.Helper()
	l, err := xmlspec.ParseLineage(r.domain.metadata)
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// take makes a snapshot of all disks.
func (r *rig) take(name string) *orchestrator.Snapshot {
	r.t.Helper()
	s, err := r.Create(r.t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: name, Quiesce: quiesce.Try})
	if err != nil {
		r.t.Fatalf("create %s: %v", name, err)
	}
	return s
}

// revert puts the domain, which is off, back.
func (r *rig) revert(name string) *orchestrator.RevertResult {
	r.t.Helper()
	result, err := r.Revert(r.t.Context(), orchestrator.RevertOptions{Domain: "web1", Snapshot: name})
	if err != nil {
		r.t.Fatalf("revert to %s: %v", name, err)
	}
	return result
}

// write gives both disks a content.
func (r *rig) write(vda, vdb string) {
	r.store.SetDisk(memory.Prefix+"vda", []byte(vda))
	r.store.SetDisk(memory.Prefix+"vdb", []byte(vdb))
}

func (r *rig) wantContent(vda, vdb string) {
	r.t.Helper()
	got := []string{string(r.store.Disk(memory.Prefix + "vda")), string(r.store.Disk(memory.Prefix + "vdb"))}
	if diff := cmp.Diff([]string{vda, vdb}, got); diff != "" {
		r.t.Errorf("the disks: %s", diff)
	}
}

func (r *rig) off() *rig {
	r.domain.edit(func(d *fakeDomain) { d.on = false })
	return r
}

func (r *rig) wantState(want orchestrator.State) {
	r.t.Helper()
	if got := r.domain.state(); got != want {
		r.t.Errorf("the domain is %s, want %s", got, want)
	}
}

// recover finishes what a test left unfinished, and makes sure that a second time has nothing to do.
func (r *rig) recover() []orchestrator.Recovered {
	r.t.Helper()
	did, err := r.Recover(r.t.Context(), "")
	if err != nil {
		r.t.Fatalf("recover: %v", err)
	}
	again, err := r.Recover(r.t.Context(), "")
	if err != nil || len(again) > 0 {
		r.t.Errorf("the second recover did %v, %v", again, err)
	}
	r.wantNoJournal()
	return did
}

// names are the snapshots there are, oldest first, without the one that may come to be.
func (r *rig) names() []string {
	r.t.Helper()
	list, err := r.List(r.t.Context(), "web1")
	if err != nil {
		r.t.Fatal(err)
	}
	names := []string{}
	for _, s := range list {
		if s.State != orchestrator.StateCreating {
			names = append(names, s.Name)
		}
	}
	return names
}

func (r *rig) wantNames(want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), r.names()); diff != "" {
		r.t.Errorf("the snapshots: %s", diff)
	}
}

func wantError(t *testing.T, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Errorf("error is %v, want %v", err, w)
		}
	}
}
