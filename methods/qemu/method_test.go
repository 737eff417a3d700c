package qemu_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/qemu"
)

var errPlanned = errors.New("planned")

// someSpec is the body of a descriptor's element.
type someSpec map[string]string

// Decode fills the two options that there are.
func (s someSpec) Decode(into any) error {
	return fill(into, s)
}

func TestClaimFollowsTheFormatThatTheDomainNames(t *testing.T) {
	t.Parallel()
	m := qemu.New(nil, nil)
	for _, c := range []struct {
		disk methods.Disk
		want int
	}{
		{methods.Disk{Source: methods.Source{File: "/a"}, Format: "qcow2"}, methods.RankNative},
		{methods.Disk{Source: methods.Source{File: "/a"}, Format: "raw"}, methods.RankUsable},
		{methods.Disk{Source: methods.Source{File: "/a"}, Format: "vmdk"}, 0},
		{methods.Disk{Source: methods.Source{Dev: "/dev/vg/lv"}, Format: "raw"}, 0},
		{methods.Disk{Source: methods.Source{RBD: &methods.RBDImage{}}, Format: "raw"}, 0},
	} {
		if got := m.Claim(t.Context(), c.disk); got.Rank != c.want || (got.Rank > 0) != (got.Why != "") {
			t.Errorf("%+v is claimed with %+v, want rank %d", c.disk, got, c.want)
		}
	}
}

func TestPlanNamesTheOverlayBesideTheImage(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"web1.qcow2":                      "web1.ds-snew-vda.qcow2",
		"web1.raw":                        "web1.ds-snew-vda.qcow2",
		"web1.ds-sold-vda.qcow2":          "web1.ds-snew-vda.qcow2",
		"web 1.disk.qcow2":                "web 1.disk.ds-snew-vda.qcow2",
		"-rf.qcow2":                       "-rf.ds-snew-vda.qcow2",
		"nbd:host:1.qcow2":                "nbd:host:1.ds-snew-vda.qcow2",
		"json:{}.qcow2":                   "json:{}.ds-snew-vda.qcow2",
		"a,b=c.qcow2":                     "a,b=c.ds-snew-vda.qcow2",
		strings.Repeat("x", 200) + ".raw": strings.Repeat("x", 200) + ".ds-snew-vda.qcow2",
	} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			r := newRigAt(t, image)
			ref := r.plan("snew")
			if got := filepath.Base(ref.Active); got != want {
				t.Errorf("the overlay is %q, want %q", got, want)
			}
			if diff := cmp.Diff(ref, r.plan("snew")); diff != "" {
				t.Errorf("the same request has two answers: %s", diff)
			}
			if ref.Size != slot*slots || ref.Name != r.disk("vda").Source.File {
				t.Errorf("the ref is %+v", ref)
			}
			r.wantFiles(image)
		})
	}
}

func TestSnapshotOfAnImageWithAHostileNameIsWholeAndGoesAgain(t *testing.T) {
	t.Parallel()
	for _, image := range []string{"-rf.qcow2", "nbd:host:1.qcow2", "json:{}.qcow2", "a,b=c.qcow2", "web 1'\".raw", "ünï.raw"} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			r := newRigAt(t, image)
			r.write(0, 'a')
			r.take("sone")
			r.write(0, 'b')
			r.wantSnapshot("sone", "a...")
			r.revert("sone", "skept")
			r.wantPresent("a...")
			r.wantSnapshot("skept", "b...")
			r.drop("skept")
			r.drop("sone")
			r.wantPresent("a...")
			r.wantFiles(image)
		})
	}
}

func TestPlanRefusesWhatCannotBeDone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*rig, *methods.PlanRequest)
		want error
	}{
		{"a network disk", func(_ *rig, q *methods.PlanRequest) { q.Disk.Source = methods.Source{Other: "nbd:x"} }, methods.ErrUnsupported},
		{"another format", func(_ *rig, q *methods.PlanRequest) { q.Disk.Format = "vmdk" }, methods.ErrUnsupported},
		{"no format", func(_ *rig, q *methods.PlanRequest) { q.Disk.Format = "" }, methods.ErrUnsupported},
		{"a block device", func(_ *rig, q *methods.PlanRequest) { q.Disk.Source = methods.Source{Dev: "/dev/vg/lv"} }, methods.ErrBlocked},
		{"the internal mode", func(_ *rig, q *methods.PlanRequest) { q.Spec = someSpec{"mode": "internal"} }, methods.ErrUnsupported},
		{"an overlay without a place", func(_ *rig, q *methods.PlanRequest) { q.Spec = someSpec{"file": "over.qcow2"} }, methods.ErrUnsupported},
		{"an overlay on a crooked path", func(_ *rig, q *methods.PlanRequest) { q.Spec = someSpec{"file": "/tmp/../etc/x"} }, methods.ErrUnsupported},
		{"an overlay that is there", func(r *rig, _ *methods.PlanRequest) {
			r.addDisk("vdb", "web1.ds-snew-vda.qcow2")
		}, methods.ErrExists},
		{"a link where the overlay goes", func(r *rig, _ *methods.PlanRequest) {
			if err := os.Symlink("/none", filepath.Join(r.dir, "web1.ds-snew-vda.qcow2")); err != nil {
				r.t.Fatal(err)
			}
		}, methods.ErrExists},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			req := methods.PlanRequest{Disk: r.disk("vda"), ID: "snew"}
			c.edit(r, &req)
			if _, err := r.Plan(t.Context(), req); !errors.Is(err, c.want) {
				t.Errorf("the plan ended with %v, want %v", err, c.want)
			}
		})
	}
}

func TestPlanRefusesAnIDThatIsNoName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, id := range []string{"", "-rf", "a/b", "s one", strings.Repeat("s", 255)} {
		if _, err := r.Plan(t.Context(), methods.PlanRequest{Disk: r.disk("vda"), ID: id}); err == nil {
			t.Errorf("the id %q was taken", id)
		}
	}
}

func TestPlanTakesTheOverlayThatTheDescriptorNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	overlay := filepath.Join(r.dir, "elsewhere.qcow2")
	ref, err := r.Plan(t.Context(), methods.PlanRequest{Disk: r.disk("vda"), ID: "snew", Spec: someSpec{"file": overlay}})
	if err != nil || ref.Active != overlay {
		t.Errorf("the plan is %+v, %v", ref, err)
	}
}

func TestBackingFileWithoutAFormatBlocks(t *testing.T) {
	t.Parallel()
	for _, format := range []string{`""`, `"vmdk"`} {
		m := qemu.New(nil, says(`{"virtual-size": 1, "backing-filename": "/img/1", "backing-filename-format": `+format+`}`))
		req := methods.PlanRequest{ID: "snew", Disk: methods.Disk{Target: "vda", Format: "qcow2", Source: methods.Source{File: "/img/0"}}}
		_, err := m.Plan(t.Context(), req)
		var blocked *methods.Blocked
		if !errors.As(err, &blocked) || blocked.Hint == "" {
			t.Errorf("with format %s: %v", format, err)
		}
	}
}

// says answers every command with the same text.
type says string

// Run implements command.Runner.
func (s says) Run(context.Context, string, ...string) ([]byte, error) { return []byte(s), nil }

func TestDataFileBlocks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	path := filepath.Join(r.dir, "split.qcow2")
	r.img("create", "-q", "-f", "qcow2", "-o", "data_file="+filepath.Join(r.dir, "data.raw"), path, "1M")
	r.hypervisor.active["vda"] = qemu.Image{Path: path, Format: "qcow2"}
	if _, err := r.Plan(t.Context(), methods.PlanRequest{Disk: r.disk("vda"), ID: "snew"}); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("the plan ended with %v", err)
	}
}

func TestChainThatIsTooLongBlocks(t *testing.T) {
	t.Parallel()
	m := qemu.New(nil, endlessChain(99))
	req := methods.PlanRequest{ID: "snew", Disk: methods.Disk{Target: "vda", Format: "qcow2", Source: methods.Source{File: "/img/0"}}}
	if _, err := m.Plan(t.Context(), req); err != nil {
		t.Errorf("with 99 layers: %v", err)
	}
	for _, layers := range []int{100, 1 << 20} {
		m = qemu.New(nil, endlessChain(layers))
		if _, err := m.Plan(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
			t.Errorf("with %d layers: %v", layers, err)
		}
	}
}

// endlessChain answers qemu-img info for the images /img/0, built on /img/1 and so on.
type endlessChain int

// Run implements command.Runner.
func (layers endlessChain) Run(_ context.Context, _ string, args ...string) ([]byte, error) {
	var n int
	if _, err := fmt.Sscanf(args[len(args)-1], "/img/%d", &n); err != nil {
		return nil, err
	}
	if n+1 >= int(layers) {
		return []byte(`{"virtual-size": 1}`), nil
	}
	return fmt.Appendf(nil, `{"virtual-size": 1, "backing-filename": "/img/%d", "backing-filename-format": "qcow2"}`, n+1), nil
}

func TestRawImageIsNeverProbed(t *testing.T) {
	t.Parallel()
	r := newRigAt(t, "web1.raw")
	// What a guest may write into a raw disk: the header of an image that is built on a file of the host.
	header := filepath.Join(r.dir, "header.qcow2")
	r.img("create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", header, "64K")
	text, err := os.ReadFile(header)
	if err != nil {
		t.Fatal(err)
	}
	raw := r.hypervisor.active["vda"].Path
	f, err := os.OpenFile(raw, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(text[:min(len(text), slot)], 0)
	if err := errors.Join(err, f.Close(), os.Remove(header)); err != nil {
		t.Fatal(err)
	}
	r.take("sone")
	if got := r.read(r.hypervisor.active["vda"])[0]; got != 'Q' {
		t.Errorf("the disk begins with %q", got)
	}
	r.drop("sone")
	r.wantFiles("web1.raw")
}

func TestOverlayHasTheOwnerAndTheModeOfItsBase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := os.Chmod(r.hypervisor.active["vda"].Path, 0o640); err != nil {
		t.Fatal(err)
	}
	r.take("sone")
	info, err := os.Stat(r.hypervisor.active["vda"].Path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the overlay has mode %v, %v", info.Mode(), err)
	}
}

func TestSourceIsTheImageAndItsFormat(t *testing.T) {
	t.Parallel()
	m := qemu.New(nil, nil)
	ref := methods.Ref{
		Snapshot: "sone", Name: "/img/a'b&c.qcow2", Active: "/img/over.qcow2",
		Disk: methods.Disk{Target: "vda", Format: "qcow2", Source: methods.Source{File: "/img/a'b&c.qcow2"}},
	}
	got, err := m.Source(t.Context(), ref)
	want := methods.BackupSource{XML: "<source file='/img/a&#39;b&amp;c.qcow2'/>", URI: ref.Name, Format: "qcow2"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

var _ command.Runner = endlessChain(0)

func (someSpec) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }
