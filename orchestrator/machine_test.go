package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/orchestrator/machine"
	"github.com/domsnap/domsnap/quiesce"
)

// firmware gives the domain NVRAM and a TPM, as files below a directory.
func (r *rig) firmware(text string) *rig {
	r.t.Helper()
	dir := filepath.Join(r.dir, "libvirt")
	nvram, tpm := filepath.Join(dir, "web1_VARS.fd"), filepath.Join(dir, "tpm")
	for _, file := range []string{nvram, filepath.Join(tpm, "tpm2-00.permall")} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	r.domain.edit(func(d *fakeDomain) {
		d.firmware = "<os><nvram>" + nvram + "</nvram></os>"
		d.devices = "<tpm model='tpm-crb'><backend type='emulator'><source type='dir' path='" + tpm + "'/></backend></tpm>"
	})
	return r
}

func (r *rig) wantFirmware(want string) {
	r.t.Helper()
	for _, name := range []string{"web1_VARS.fd", "tpm/tpm2-00.permall"} {
		got, err := os.ReadFile(filepath.Join(r.dir, "libvirt", name))
		if err != nil || string(got) != want {
			r.t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
}

func (r *rig) machines() machine.Store { return machine.Store{Dir: filepath.Join(r.dir, "machines")} }

// wantMachinesAsRecorded: every snapshot has its definition, and nothing is left of others. Snapshots of single disks, as
// the safety of such a revert, may have none.
func (r *rig) wantMachinesAsRecorded() {
	r.t.Helper()
	ids, err := r.machines().Snapshots(r.domain.uuid)
	if err != nil {
		r.t.Error(err)
	}
	recorded := map[string]bool{}
	for _, s := range r.lineage().Snapshots {
		recorded[s.ID] = true
	}
	for _, name := range r.orphans {
		id, _ := methods.SnapshotOf(name[strings.LastIndex(name, "ds-"):], name[strings.LastIndex(name, "-")+1:])
		recorded[id] = true
	}
	for _, id := range ids {
		of := machine.Snapshot{Domain: r.domain.uuid, ID: id}
		if text, err := r.machines().Definition(of); !recorded[id] || err != nil || strings.Contains(text, otherMetadata) {
			r.t.Errorf("kept of snapshot %s, recorded %t: %s, %v", id, recorded[id], text, err)
		}
	}
}

func TestRevertBringsTheMachineBack(t *testing.T) {
	r := newRig(t).firmware("one").off()
	one := r.take("one")
	if diff := cmp.Diff([]string{"nvram", "tpm"}, one.Machine); diff != "" {
		t.Errorf("kept: %s", diff)
	}
	r.firmware("now")
	back := r.revert("one")
	r.wantFirmware("one")
	if _, err := r.Revert(t.Context(), revertTo(*back.Safety)); err != nil {
		t.Fatal(err)
	}
	r.wantFirmware("now")
	if _, err := r.Revert(t.Context(), orchestrator.RevertOptions{Domain: "web1", Snapshot: "one", Disks: []string{"vda"}}); err != nil {
		t.Fatal(err)
	}
	r.wantFirmware("now")
	for _, name := range r.names() {
		if _, err := r.Delete(t.Context(), orchestrator.DeleteOptions{Domain: "web1", Snapshot: name}); err != nil {
			t.Fatal(err)
		}
	}
	if ids, err := r.machines().Snapshots(r.domain.uuid); err != nil || len(ids) > 0 {
		t.Errorf("kept are %v, %v", ids, err)
	}
}

// TestMachineThatIsKilledHalfWayBackIsPutBackByRecover: firmware and disks are of one instant, wherever that was.
func TestMachineThatIsKilledHalfWayBackIsPutBackByRecover(t *testing.T) {
	set := func(t *testing.T) *rig {
		r := newRig(t).firmware("one").off()
		r.write("a one", "b one")
		r.take("one")
		r.firmware("now").write("a now", "b now")
		return r
	}
	revert := func(r *rig, ctx context.Context) error {
		_, err := r.Revert(ctx, orchestrator.RevertOptions{Domain: "web1", Snapshot: "one"})
		return err
	}
	halves := 0
	killEverywhere(t, set, revert, func(r *rig, killed bool) {
		if killed && r.swapsHalf() {
			halves++
		}
		r.recover()
		now := r.firmwareNow("web1_VARS.fd")
		r.wantFirmware(now)
		r.wantContent("a "+now, "b "+now)
	})
	if halves == 0 {
		t.Error("it was never killed half-way")
	}
}

// swapsHalf does one half of what was begun of putting the machine back, if it was.
func (r *rig) swapsHalf() bool {
	r.t.Helper()
	i, err := r.journal().Pending(r.domain.uuid)
	if err != nil || !slices.Contains(i.Notes, journal.Note{Act: "put back nvram and tpm"}) || r.firmwareNow("web1_VARS.fd") != "now" {
		return false
	}
	if err := r.machines().Swap(i.Back[:1]); err != nil {
		r.t.Error(err)
	}
	return r.firmwareNow("web1_VARS.fd") != r.firmwareNow("tpm/tpm2-00.permall")
}

func (r *rig) firmwareNow(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "libvirt", name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.t.Error(err)
	}
	return string(text)
}

// What the machine had not made yet is not there afterwards, and comes back with an undo.
func TestRevertTakesAwayWhatTheMachineHadNot(t *testing.T) {
	r := newRig(t).firmware("now").off()
	dir := filepath.Join(r.dir, "libvirt")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if clean := r.take("clean"); len(clean.Machine) > 0 {
		t.Errorf("kept are %q", clean.Machine)
	}
	r.firmware("now")
	back := r.revert("clean")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if _, err := r.Revert(t.Context(), revertTo(*back.Safety)); err != nil {
		t.Fatal(err)
	}
	r.wantFirmware("now")
}

// A revert that cannot put firmware back changes no disk.
func TestRevertThatCannotStageTheMachineChangesNothing(t *testing.T) {
	r := newRig(t).firmware("one").off()
	r.write("a one", "b one")
	r.take("one")
	r.firmware("now").write("a now", "b now")
	if err := os.Rename(filepath.Join(r.dir, "libvirt"), filepath.Join(r.dir, "moved")); err != nil {
		t.Fatal(err)
	}
	_, err := r.Revert(t.Context(), orchestrator.RevertOptions{Domain: "web1", Snapshot: "one"})
	wantError(t, err, orchestrator.ErrFailed)
	r.wantContent("a now", "b now")
	r.wantNames("one")
}

func TestAMachineElsewhereIsNamed(t *testing.T) {
	r := newRig(t).firmware("one").off()
	r.domain.edit(func(d *fakeDomain) { d.firmware = "<os><nvram>/dev/null</nvram></os>" })
	if s := r.take("one"); !strings.HasPrefix(strings.Join(s.Consistency.Skipped, " "), "nvram: ") {
		t.Errorf("skipped are %q", s.Consistency.Skipped)
	}
	link := filepath.Join(r.dir, "device")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	r.domain.edit(func(d *fakeDomain) { d.firmware = "<os><nvram>" + link + "</nvram></os>" })
	r.revert("one")
	if _, err := os.Lstat(link); err != nil {
		t.Errorf("what could not be kept was taken away: %v", err)
	}
}

// A guest may write its firmware's variables until it is held.
func TestTheMachineIsThatOfTheWindow(t *testing.T) {
	r := newRig(t).firmware("before")
	r.listen = func(e orchestrator.Event) {
		if e.Step == "prepare vdb by memory" && e.Done {
			r.firmware("in the window")
		}
	}
	r.take("one")
	r.listen = nil
	r.off().firmware("now")
	r.revert("one")
	r.wantFirmware("in the window")
}

func TestAFailedCreateKeepsNoMachine(t *testing.T) {
	r := newRig(t).firmware("one")
	r.store.Fail(memory.AtTake, "vdb", errPlanned)
	_, err := r.Create(t.Context(), orchestrator.CreateOptions{Domain: "web1", Name: "one", Quiesce: quiesce.Try})
	wantError(t, err, orchestrator.ErrFailed)
	if ids, err := r.machines().Snapshots(r.domain.uuid); err != nil || len(ids) > 0 {
		t.Errorf("kept are %v, %v", ids, err)
	}
}

func TestRevertRefusesAnotherMachine(t *testing.T) {
	r := newRig(t).firmware("one").off()
	r.take("one")
	same := r.domain.disks
	for name, c := range map[string]struct {
		change func(*fakeDomain)
		want   string
	}{
		"added": {func(d *fakeDomain) {
			d.disks = []fakeDisk{same[0], same[1], {target: "vdc", file: same[0].file}}
		}, "vdc was added"},
		"removed": {func(d *fakeDomain) { d.disks = same[:1:1] }, "vdb was removed"},
		"both": {func(d *fakeDomain) { d.disks = []fakeDisk{same[0], {target: "vdc", file: same[1].file}} },
			"vdb was removed; vdc was added"},
		"no firmware": {func(d *fakeDomain) { d.disks, d.firmware = same, "" }, "it has no nvram any more"},
	} {
		t.Run(name, func(t *testing.T) {
			r.firmware("now").domain.edit(c.change)
			_, err := r.Revert(t.Context(), revertTo("one"))
			wantError(t, err, orchestrator.ErrRefused)
			if !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			r.wantFirmware("now")
			if _, err := r.Revert(t.Context(), orchestrator.RevertOptions{Domain: "web1", Snapshot: "one", Disks: []string{"vda"}, NoSafety: true}); err != nil {
				t.Errorf("the disk that is the same: %v", err)
			}
		})
	}
	r.domain.edit(func(d *fakeDomain) { d.disks = same })
	r.firmware("now")
}

func TestRevertFollowsADiskToItsNewTarget(t *testing.T) {
	r := twoSnapshots(t)
	r.domain.edit(func(d *fakeDomain) { d.disks[1].target = "vdc" })
	opts := revertTo("one")
	_, err := r.Revert(t.Context(), opts)
	wantError(t, err, orchestrator.ErrRefused)
	for _, wrong := range []orchestrator.Mapping{{From: "vda", To: "vdc"}, {From: "vdb", To: "vda"}, {From: "vdb", To: "vdx"}, {From: "vdx", To: "vdc"}} {
		opts.Map = []orchestrator.Mapping{wrong}
		if _, err := r.Revert(t.Context(), opts); err == nil {
			t.Errorf("--map %v went through", wrong)
		}
	}
	opts.Map = []orchestrator.Mapping{{From: "vdb", To: "vdc"}}
	if _, err := r.Revert(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	r.wantContent("a one", "b one")
}

func TestCheckFindsWhatTheMachineHasLost(t *testing.T) {
	r := newRig(t).firmware("one").off()
	one := r.take("one")
	dir := r.machines().Path(machine.Snapshot{Domain: r.domain.uuid, ID: one.ID})
	if err := os.Rename(dir, filepath.Join(filepath.Dir(dir), "sother")); err != nil {
		t.Fatal(err)
	}
	r.wantFound("missing | one | nvram tpm", "orphan |  | "+filepath.Join(filepath.Dir(dir), "sother")+" belongs to no snapshot")
	_, err := r.Revert(t.Context(), revertTo("one"))
	wantError(t, err, orchestrator.ErrRefused)
	if err := os.Rename(filepath.Join(filepath.Dir(dir), "sother"), dir); err != nil {
		t.Fatal(err)
	}
}
