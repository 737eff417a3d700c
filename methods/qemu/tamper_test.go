package qemu_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/methodtest"
	"github.com/domsnap/domsnap/methods/qemu"
)

// tampered are records as somebody could write them who may change a domain's metadata. Others are the files of another
// domain, which shares the image at the bottom.
func tampered(r *rig, canary, others string) map[string]methods.Ref {
	edit := func(change func(*methods.Ref)) methods.Ref {
		ref := r.snapshot("sone")
		change(&ref)
		return ref
	}
	image := func(path string) func(*methods.Ref) {
		return func(ref *methods.Ref) { ref.Name, ref.Disk.Source.File, ref.Origin = path, path, path }
	}
	present := r.disk("vda").Source.File
	return map[string]methods.Ref{
		"image elsewhere":        edit(func(ref *methods.Ref) { ref.Name = canary }),
		"all elsewhere":          edit(image(canary)),
		"raw elsewhere":          edit(func(ref *methods.Ref) { image(canary)(ref); ref.Disk.Format = "raw" }),
		"way out":                edit(image(filepath.Dir(present) + "/../" + filepath.Base(canary))),
		"relative":               edit(image("canary")),
		"a protocol":             edit(image("json:{}")),
		"overlay elsewhere":      edit(func(ref *methods.Ref) { image(present)(ref); ref.Active = canary }),
		"overlay of nobody":      edit(func(ref *methods.Ref) { image(present)(ref); ref.Active = "" }),
		"another domain's image": edit(image(others)),
		"another domain's overlay": edit(func(ref *methods.Ref) {
			image(present)(ref)
			ref.Active = others
		}),
		"no id":     edit(func(ref *methods.Ref) { ref.Snapshot = "../x" }),
		"no target": edit(func(ref *methods.Ref) { ref.Disk.Target = "../x" }),
		"no format": edit(func(ref *methods.Ref) { ref.Disk.Format = "" }),
	}
}

func TestTamperedRecordLeadsToNoOtherFile(t *testing.T) {
	t.Parallel()
	canary := methodtest.NewCanary(t, slot*slots)
	r := newRig(t)
	r.write(0, 'a')
	r.take("sone")
	r.write(1, 'b')
	others := filepath.Join(r.dir, "other.qcow2")
	r.img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", r.snapshot("sone").Name, others)
	before, err := os.ReadFile(others)
	if err != nil {
		t.Fatal(err)
	}
	for name, ref := range tampered(r, canary.Path, others) {
		disk := r.disk("vda")
		if plan, err := r.PlanDrop(t.Context(), methods.DropRequest{Ref: ref, Disk: disk}); err == nil && len(plan.Renamed) > 0 {
			t.Errorf("%s: the plan is %+v", name, plan)
		}
		if err := r.Drop(t.Context(), methods.DropRequest{Ref: ref, Disk: disk}); err == nil {
			t.Errorf("%s: it was dropped", name)
		}
		req := methods.RevertRequest{To: ref, Disk: disk}
		if err := r.CheckRevert(t.Context(), req); err == nil && name != "another domain's image" {
			t.Errorf("%s: it can be reverted to", name)
		}
		canary.Check()
		if after, err := os.ReadFile(others); err != nil || string(after) != string(before) {
			t.Fatalf("%s: another domain's image has changed: %v", name, err)
		}
		r.wantPresent("ab..")
	}
}

func TestTamperedRecordOfAnInternalSnapshot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := qemu.NewInternal(nil, command.Host{})
	ref, err := m.Plan(t.Context(), methods.PlanRequest{Disk: r.disk("vda"), ID: "sone"})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Take(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(r.dir, "other.qcow2")
	r.img("create", "-q", "-f", "qcow2", other, "64k")
	for _, path := range []string{other, ref.Origin} {
		r.img("snapshot", "-c", "precious", path)
	}
	for name, change := range map[string]func(*methods.Ref){
		"another name":  func(ref *methods.Ref) { ref.Name = "precious" },
		"another image": func(ref *methods.Ref) { ref.Origin = other },
		"both":          func(ref *methods.Ref) { ref.Origin, ref.Name = other, "precious" },
	} {
		bad := ref
		change(&bad)
		if err := m.Drop(t.Context(), methods.DropRequest{Ref: bad, Disk: r.disk("vda")}); err == nil {
			t.Errorf("%s: it was dropped", name)
		}
		if _, err := m.Revert(t.Context(), methods.RevertRequest{To: bad, Disk: r.disk("vda"), Again: true}); err == nil {
			t.Errorf("%s: it was reverted to", name)
		}
		if c, err := m.Open(t.Context(), bad); err == nil {
			t.Errorf("%s: it was opened: %v", name, c.Close())
		}
	}
}
