package lvm

import (
	"context"
	"errors"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// spec is a descriptor's body that was decoded already.
type spec options

func (s spec) Decode(into any) error {
	*into.(*options) = options(s)
	return nil
}

func sized(percent, bytes int64) spec {
	s := &sizeOption{}
	if percent != 0 {
		s.Percent = &percent
	}
	if bytes != 0 {
		s.Bytes = &bytes
	}
	return spec{Size: s}
}

func TestPlan(t *testing.T) {
	f, m := newFake(t)
	req := methods.PlanRequest{Disk: fakeDisk(f, "thick"), ID: "first"}
	got, err := m.Plan(t.Context(), req)
	want := methods.Ref{Snapshot: "first", Method: "lvm", Mode: "thick", Disk: req.Disk, Origin: "vg/thick",
		Name: "vg/ds-first-vda", Reserve: 16 << 20, Size: 64 << 20, Lock: "lvm:vg"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if again, _ := m.Plan(t.Context(), req); !reflect.DeepEqual(again, want) {
		t.Errorf("then %+v", again)
	}
	thin := f.plan(t, "thin", "first")
	if thin.Mode != "thin" || thin.Reserve != 0 {
		t.Errorf("thin: %+v", thin)
	}
	if f.count != 0 {
		t.Error("planning changed something")
	}
	f.checkArgs(t)
}

func TestPlanReserve(t *testing.T) {
	const extent = 4 << 20
	for _, c := range []struct {
		spec methods.Spec
		want int64
	}{
		{nil, 4 * extent},
		{sized(1, 0), extent},
		{sized(50, 0), 8 * extent},
		{sized(100, 0), 17 * extent},
		{sized(0, 1), extent},
		{sized(0, extent+1), 2 * extent},
		{sized(0, 1<<62), 17 * extent},
		{sized(101, 0), -1},
		{sized(-1, 0), -1},
		{sized(0, -1), -1},
		{sized(20, 4096), -1},
		{sized(0, 0), -1},
	} {
		f, m := newFake(t)
		ref, err := m.Plan(t.Context(), methods.PlanRequest{Disk: fakeDisk(f, "thick"), ID: "first", Spec: c.spec})
		if (c.want < 0) != errors.Is(err, methods.ErrUnsupported) || (c.want > 0 && ref.Reserve != c.want) {
			t.Errorf("%+v: %d, %v; want %d", c.spec, ref.Reserve, err, c.want)
		}
	}
}

func TestPlanDevice(t *testing.T) {
	f, m := newFake(t)
	disk := methods.Disk{Target: "vdb", Source: methods.Source{File: "/srv/x.img"}}
	if _, err := m.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: "first"}); !errors.Is(err, methods.ErrUnsupported) {
		t.Errorf("file: %v", err)
	}
	s := spec{Device: &deviceOption{f.dev + "/vg/thin"}}
	ref, err := m.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: "first", Spec: s})
	if err != nil || ref.Origin != "vg/thin" {
		t.Errorf("device: %+v, %v", ref, err)
	}
}

func TestPlanRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		set  func(*fakeLVM)
		disk string
		spec methods.Spec
		want error
	}{
		"gone":        {disk: "nothing", want: methods.ErrUnsupported},
		"pool":        {disk: "pool0", want: methods.ErrUnsupported},
		"thin-size":   {disk: "thin", spec: sized(20, 0), want: methods.ErrUnsupported},
		"merging":     {disk: "thick", want: methods.ErrBlocked, set: func(f *fakeLVM) { f.volumes["thick"].merging = true }},
		"data-full":   {disk: "thin", want: methods.ErrBlocked, set: func(f *fakeLVM) { f.volumes["pool0"].data = "99.00" }},
		"meta-full":   {disk: "thin", want: methods.ErrBlocked, set: func(f *fakeLVM) { f.volumes["pool0"].metadata = "95.50" }},
		"group-full":  {disk: "thick", want: methods.ErrBlocked, set: func(f *fakeLVM) { f.free = 12 << 20 }},
		"taken":       {disk: "thick", want: methods.ErrExists, set: func(f *fakeLVM) { f.volumes["ds-first-vda"] = &fakeVolume{} }},
		"mirror":      {disk: "thick", want: methods.ErrUnsupported, set: func(f *fakeLVM) { f.volumes["thick"].layout = "mirror" }},
		"of-snapshot": {disk: "thick", want: methods.ErrUnsupported, set: func(f *fakeLVM) { f.volumes["thick"].origin = "x" }},
	} {
		t.Run(what, func(t *testing.T) {
			f, m := newFake(t)
			if c.set != nil {
				c.set(f)
			}
			_, err := m.Plan(t.Context(), methods.PlanRequest{Disk: fakeDisk(f, c.disk), ID: "first", Spec: c.spec})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
			var blocked *methods.Blocked
			if errors.As(err, &blocked) && blocked.Hint == "" {
				t.Errorf("no hint: %v", err)
			}
		})
	}
}

func TestTakeIsOneCommand(t *testing.T) {
	for _, volume := range []string{"thin", "thick"} {
		f, m := newFake(t)
		ready, err := m.Prepare(t.Context(), []methods.Ref{f.plan(t, volume, "first")})
		if err != nil {
			t.Fatal(err)
		}
		f.calls = nil
		if err := ready.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(f.calls) != 1 {
			t.Errorf("took by %q", f.calls)
		}
		if err := ready.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.checkArgs(t)
	}
}

// TestTakeCommands: neither the act nor what makes it good has to do with the monitors of other snapshots.
func TestTakeCommands(t *testing.T) {
	f, _ := newFake(t)
	f.take(t, "thick", "first")
	for _, want := range []string{
		"lvconvert --yes --snapshot --zero n --chunksize 4096b --noudevsync " +
			"--config activation/monitoring=0 backup/backup=0 backup/archive=0 --devices /dev/loop0 vg/thick vg/ds-first-vda",
		"lvchange --ignoremonitoring --permission r vg/ds-first-vda",
		"lvchange --monitor y vg/ds-first-vda",
	} {
		if !slices.ContainsFunc(f.calls, func(call []string) bool { return strings.Join(call, " ") == want }) {
			t.Errorf("got %q, not %s", f.calls, want)
		}
	}
}

func TestTakeTwice(t *testing.T) {
	f, m := newFake(t)
	ref := f.take(t, "thin", "first")
	if err := m.Take(t.Context(), ref); !errors.Is(err, methods.ErrExists) {
		t.Errorf("got %v", err)
	}
}

func TestCancelledTakeMakesNothing(t *testing.T) {
	f, m := newFake(t)
	ref := f.plan(t, "thin", "first")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Take(ctx, ref); !errors.Is(err, context.Canceled) || f.count != 0 {
		t.Errorf("got %v, %d changes", err, f.count)
	}
}

func TestStat(t *testing.T) {
	f, m := newFake(t)
	ref := f.plan(t, "thick", "first")
	if _, err := m.Stat(t.Context(), ref); !errors.Is(err, methods.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	if err := m.Take(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	s := f.volumes["ds-first-vda"]
	s.data = "25.00"
	if info, err := m.Stat(t.Context(), ref); err != nil || info.BytesUsed != 4<<20 {
		t.Errorf("got %+v, %v", info, err)
	}
	for _, breakIt := range []func(){func() { s.invalid = true }, func() { s.invalid, s.data = false, "100.00" }, func() { s.origin = "other" }} {
		breakIt()
		if _, err := m.Stat(t.Context(), ref); !errors.Is(err, methods.ErrBroken) {
			t.Errorf("got %v", err)
		}
	}
}

func TestDrop(t *testing.T) {
	for what, c := range map[string]struct {
		set  func(*fakeVolume)
		want error
	}{
		"ok":      {func(*fakeVolume) {}, nil},
		"partial": {func(v *fakeVolume) { v.origin = "" }, nil},
		"origin":  {func(v *fakeVolume) { v.origin = "other" }, methods.ErrBlocked},
		"tag":     {func(v *fakeVolume) { v.tags = nil }, methods.ErrBlocked},
		"open":    {func(v *fakeVolume) { v.open = true }, methods.ErrBlocked},
		"thin":    {func(v *fakeVolume) { v.layout, v.pool = "thin,sparse", "pool0" }, methods.ErrBlocked},
	} {
		t.Run(what, func(t *testing.T) {
			f, m := newFake(t)
			ref := f.take(t, "thick", "first")
			c.set(f.volumes["ds-first-vda"])
			changes := f.count
			if err := m.CheckDrop(t.Context(), methods.DropRequest{Ref: ref}); !errors.Is(err, c.want) || f.count != changes {
				t.Errorf("the check says %v, after %d changes", err, f.count-changes)
			}
			for range 2 {
				if err := m.Drop(t.Context(), methods.DropRequest{Ref: ref}); !errors.Is(err, c.want) {
					t.Errorf("got %v", err)
				}
			}
			if (f.volumes["ds-first-vda"] == nil) != (c.want == nil) || f.volumes["thick"] == nil {
				t.Error("wrong volumes are left")
			}
		})
	}
}

// TestTagsAreWitnesses: a record that the storage does not bear out is not acted on.
func TestTagsAreWitnesses(t *testing.T) {
	const other = "domsnap.domain=00000000-0000-4000-8000-000000000000"
	for _, volume := range []string{"thin", "thick"} {
		for what, tags := range map[string][]string{
			"none": nil, "another snapshot": {"domsnap.snapshot=second"}, "another origin": {"domsnap.snapshot=first", "domsnap.origin=else"},
			"another domain": {"domsnap.snapshot=first", "domsnap.origin=" + volume, other},
		} {
			f, m := newFake(t)
			ref := f.take(t, volume, "first")
			f.volumes["ds-first-vda"].tags = tags
			changes := f.count
			if err := m.Drop(t.Context(), methods.DropRequest{Ref: ref}); !errors.Is(err, methods.ErrBlocked) {
				t.Errorf("%s, %s: the drop says %v", volume, what, err)
			}
			req := methods.RevertRequest{To: ref, Disk: fakeDisk(f, volume)}
			if err := m.CheckRevert(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
				t.Errorf("%s, %s: the check of a revert says %v", volume, what, err)
			}
			if _, err := m.Revert(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
				t.Errorf("%s, %s: the revert says %v", volume, what, err)
			}
			if f.count != changes {
				t.Errorf("%s, %s: something was changed", volume, what)
			}
		}
	}
}

func TestSource(t *testing.T) {
	_, m := newFake(t)
	m.dev = "/dev"
	ref := methods.Ref{Snapshot: "first", Mode: "thin", Disk: methods.Disk{Target: "vda"}, Origin: "vg/thin", Name: "vg/ds-first-vda"}
	got, err := m.Source(t.Context(), ref)
	want := methods.BackupSource{XML: "<source dev='/dev/vg/ds-first-vda'/>", URI: "/dev/vg/ds-first-vda", Format: "raw"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

// noTools is a host without LVM.
type noTools struct{}

func (noTools) Run(_ context.Context, name string, args ...string) ([]byte, error) {
	return nil, &command.Error{Name: name, Args: args, Err: &exec.Error{Name: name, Err: exec.ErrNotFound}}
}

func TestMissingToolIsUnsupported(t *testing.T) {
	m := New(noTools{})
	m.dev = t.TempDir()
	disk := methods.Disk{Target: "vda", Source: methods.Source{Dev: m.dev + "/vg/lv"}}
	_, err := m.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: "first"})
	if !errors.Is(err, methods.ErrUnsupported) || !strings.Contains(err.Error(), "lvm2") {
		t.Errorf("got %v", err)
	}
}

// blinking is a group in which a volume is open for the first few looks.
type blinking struct {
	*fakeLVM
	looks int
}

func (b *blinking) Run(ctx context.Context, tool string, args ...string) ([]byte, error) {
	if tool == "lvs" {
		b.looks--
		b.volumes["thin"].open = b.looks > 0
	}
	return b.fakeLVM.Run(ctx, tool, args...)
}

func TestOpenForAMomentIsNotInTheWay(t *testing.T) {
	f, m := newFake(t)
	req := methods.RevertRequest{To: f.take(t, "thin", "first"), Disk: fakeDisk(f, "thin")}
	m.run = &blinking{f, 3}
	if err := m.CheckRevert(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("without patience: %v", err)
	}
	m.patience = 100 * time.Millisecond
	if err := m.CheckRevert(t.Context(), req); err != nil {
		t.Errorf("with patience: %v", err)
	}
}

func (spec) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }
