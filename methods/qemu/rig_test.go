package qemu_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/qemu"
)

// slot is the piece of a disk that a test writes at a time, slots how many a disk has.
const (
	slot  = 64 << 10
	slots = 4
)

// rig is a domain whose disk vda is an image in a directory of its own, and its snapshots as a lineage has them.
type rig struct {
	*qemu.Method
	t          *testing.T
	dir        string
	hypervisor *fakeHypervisor
	running    bool
	snapshots  []methods.Ref
}

func newRig(t *testing.T) *rig {
	return newRigAt(t, "web1.qcow2")
}

func newRigAt(t *testing.T, image string) *rig {
	t.Helper()
	if p := command.Missing("qemu-img", "qemu-io"); p != "" {
		t.Fatalf("%s is missing: install qemu-utils", p)
	}
	r := &rig{t: t, dir: t.TempDir(), hypervisor: &fakeHypervisor{active: map[string]qemu.Image{}}}
	r.Method = qemu.New(r.hypervisor, command.Host{})
	r.addDisk("vda", image)
	return r
}

// addDisk makes an empty image; its format is the extension.
func (r *rig) addDisk(target, image string) {
	r.t.Helper()
	format := strings.TrimPrefix(filepath.Ext(image), ".")
	path := filepath.Join(r.dir, image)
	r.img("create", "-q", "-f", format, path, fmt.Sprint(slot*slots))
	r.hypervisor.active[target] = qemu.Image{Path: path, Format: format}
}

func (r *rig) img(args ...string) {
	r.t.Helper()
	if err := img(r.t.Context(), args...); err != nil {
		r.t.Fatalf("%+v", err)
	}
}

func (r *rig) disk(target string) methods.Disk {
	active := r.hypervisor.active[target]
	return methods.Disk{
		Domain: methods.Domain{Name: "web1", UUID: "6f1d2c3b-0000-4000-8000-000000000001", Active: r.running},
		Target: target, Source: methods.Source{File: active.Path}, Format: active.Format,
	}
}

// write fills a slot of vda, as the guest would.
func (r *rig) write(n int, what byte) {
	r.t.Helper()
	active := r.hypervisor.active["vda"]
	_, err := command.Host{}.Run(r.t.Context(), "qemu-io", "-f", active.Format, "-c",
		fmt.Sprintf("write -P %d %d %d", what, n*slot, slot), active.Path)
	if err != nil {
		r.t.Fatalf("%+v", err)
	}
}

// read is the first byte of each slot of an image.
func (r *rig) read(image qemu.Image) string {
	r.t.Helper()
	out := filepath.Join(r.t.TempDir(), "raw")
	r.img("convert", "-f", image.Format, "-O", "raw", image.Path, out)
	content, err := os.ReadFile(out)
	if err != nil {
		r.t.Fatal(err)
	}
	first := make([]byte, slots)
	for i := range first {
		first[i] = max(content[i*slot], '.')
	}
	return string(first)
}

func (r *rig) wantPresent(want string) {
	r.t.Helper()
	if got := r.read(r.hypervisor.active["vda"]); got != want {
		r.t.Errorf("the disk holds %q, want %q", got, want)
	}
}

func (r *rig) wantSnapshot(id, want string) {
	r.t.Helper()
	ref := r.snapshot(id)
	if got := r.read(qemu.Image{Path: ref.Name, Format: ref.Disk.Format}); got != want {
		r.t.Errorf("snapshot %s holds %q, want %q", id, got, want)
	}
}

func (r *rig) plan(id string) methods.Ref {
	r.t.Helper()
	ref, err := r.Plan(r.t.Context(), methods.PlanRequest{Disk: r.disk("vda"), ID: id})
	if err != nil {
		r.t.Fatal(err)
	}
	return ref
}

func (r *rig) take(id string) {
	r.t.Helper()
	ref := r.plan(id)
	if err := r.Take(r.t.Context(), ref); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.Stat(r.t.Context(), ref); err != nil {
		r.t.Errorf("stat after the take: %v", err)
	}
	r.snapshots = append(r.snapshots, ref)
}

func (r *rig) snapshot(id string) methods.Ref {
	r.t.Helper()
	for _, s := range r.snapshots {
		if s.Snapshot == id {
			return s
		}
	}
	r.t.Fatalf("there is no snapshot %s", id)
	return methods.Ref{}
}

func (r *rig) dropRequest(id string) methods.DropRequest {
	req := methods.DropRequest{Ref: r.snapshot(id), Disk: r.disk("vda")}
	for _, s := range r.snapshots {
		if s.Snapshot != id {
			req.Others = append(req.Others, s)
		}
	}
	return req
}

// drop removes a snapshot and records what PlanDrop said of the others.
func (r *rig) drop(id string) {
	r.t.Helper()
	req := r.dropRequest(id)
	plan, err := r.PlanDrop(r.t.Context(), req)
	if err != nil || len(plan.NeededBy) > 0 {
		r.t.Fatalf("plan the drop of %s: %+v, %v", id, plan, err)
	}
	if err := r.Drop(r.t.Context(), req); err != nil {
		r.t.Fatalf("drop %s: %v", id, err)
	}
	if plan.Active != "" && r.hypervisor.active["vda"].Path != plan.Active {
		r.t.Errorf("the disk writes to %s, planned was %s", r.hypervisor.active["vda"].Path, plan.Active)
	}
	r.snapshots = slices.DeleteFunc(r.snapshots, func(s methods.Ref) bool { return s.Snapshot == id })
	for _, renamed := range plan.Renamed {
		i := slices.IndexFunc(r.snapshots, func(s methods.Ref) bool { return s.Snapshot == renamed.Snapshot })
		r.snapshots[i] = renamed
	}
}

// revert puts vda back; with keep it makes a snapshot of the present.
func (r *rig) revert(id, keep string) {
	r.t.Helper()
	req := methods.RevertRequest{To: r.snapshot(id), Disk: r.disk("vda")}
	if keep != "" {
		ref, err := r.PlanKeep(r.t.Context(), methods.PlanRequest{Disk: req.Disk, ID: keep})
		if err != nil {
			r.t.Fatal(err)
		}
		req.Keep = &ref
	}
	if err := r.CheckRevert(r.t.Context(), req); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.Revert(r.t.Context(), req); err != nil {
		r.t.Fatal(err)
	}
	if keep != "" {
		r.snapshots = append(r.snapshots, *req.Keep)
	}
	if got := r.hypervisor.active["vda"].Path; got != req.Disk.Source.File {
		r.t.Errorf("the disk was moved to %s", got)
	}
}

// wantFiles compares the directory with the images that there should be.
func (r *rig) wantFiles(want ...string) {
	r.t.Helper()
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("the directory: %s", diff)
	}
}

func backingOf(ctx context.Context, path string) (string, error) {
	out, err := command.Host{}.Run(ctx, "qemu-img", "info", "--output=json", "-f", "qcow2", path)
	if err != nil {
		return "", err
	}
	var info struct {
		Backing string `json:"full-backing-filename"`
	}
	return info.Backing, json.Unmarshal(out, &info)
}
