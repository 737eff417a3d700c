package lvm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

// swapCase is a thin volume with a snapshot of the content "then", which now has the content "now".
type swapCase struct {
	fake *fakeLVM
	m    *Method
	req  methods.RevertRequest
}

func newSwap(t *testing.T, keep bool) swapCase {
	t.Helper()
	f, m := newFake(t)
	f.volumes["thin"].content, f.volumes["thin"].auto = "then", false
	to := f.take(t, "thin", "first")
	f.volumes["thin"].content = "now"
	c := swapCase{f, m, methods.RevertRequest{To: to, Disk: fakeDisk(f, "thin")}}
	if keep {
		ref, err := m.PlanKeep(t.Context(), methods.PlanRequest{Disk: c.req.Disk, ID: "keep"})
		if err != nil {
			t.Fatal(err)
		}
		c.req.Keep = &ref
	}
	f.count = 0
	return c
}

// run reverts and is killed at a command; 0 is never.
func (c swapCase) run(t *testing.T, kill int, early bool) error {
	c.fake.kill, c.fake.early, c.fake.count = kill, early, 0
	_, err := c.m.Revert(t.Context(), c.req)
	c.fake.kill = 0
	return err
}

// check compares the whole group with what a revert must leave.
func (c swapCase) check(t *testing.T, kept string) {
	t.Helper()
	f := c.fake
	want := []string{"ds-first-vda", "pool0", "thick", "thin"}
	if c.req.Keep != nil {
		want = []string{"ds-first-vda", "ds-keep-vda", "pool0", "thick", "thin"}
	}
	if got := slices.Sorted(maps.Keys(f.volumes)); !slices.Equal(got, want) {
		t.Fatalf("volumes %q, want %q", got, want)
	}
	if s := f.volumes["ds-first-vda"]; s.content != "then" || !s.skip || s.active || !s.ro {
		t.Errorf("snapshot: %+v", s)
	}
	if o := f.volumes["thin"]; o.content != "then" || !o.active || o.auto || o.skip || o.ro || !slices.Equal(o.tags, []string{"admin"}) {
		t.Errorf("disk: %+v", o)
	}
	if c.req.Keep == nil {
		return
	}
	k := f.volumes["ds-keep-vda"]
	if k.content != kept || !k.skip || k.active || !k.ro || !slices.Equal(k.tags, tags(*c.req.Keep)) {
		t.Errorf("kept: %+v, want content %s", k, kept)
	}
	if _, err := c.m.Stat(t.Context(), *c.req.Keep); err != nil {
		t.Error(err)
	}
}

func bothKeeps(t *testing.T, check func(*testing.T, bool)) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("keep=%t", keep), func(t *testing.T) { check(t, keep) })
	}
}

func TestSwap(t *testing.T) {
	bothKeeps(t, func(t *testing.T, keep bool) {
		c := newSwap(t, keep)
		if err := c.m.CheckRevert(t.Context(), c.req); err != nil {
			t.Fatal(err)
		}
		if err := c.run(t, 0, false); err != nil {
			t.Fatal(err)
		}
		c.check(t, "now")
		c.fake.checkArgs(t)
	})
}

// TestSwapKilled kills a revert at every command, before or after its work, and what repeats it at every
// command too.
func TestSwapKilled(t *testing.T) {
	const most = 10
	bothKeeps(t, func(t *testing.T, keep bool) {
		for first := 1; first <= most; first++ {
			for second := 0; second <= most; second++ {
				newSwap(t, keep).killed(t, []int{first, second}, (first+second)%2 == 0)
			}
		}
	})
}

// TestSwapBelievesNoTool: that a volume was made or renamed is an error where it was not; the present stays, and the next
// revert ends as it should.
func TestSwapBelievesNoTool(t *testing.T) {
	bothKeeps(t, func(t *testing.T, keep bool) {
		const create, firstRename, secondRename = 1, 3, 4
		for _, idle := range []int{create, firstRename, secondRename} {
			c := newSwap(t, keep)
			c.fake.idle = idle
			if err := c.run(t, 0, false); err == nil {
				t.Errorf("command %d did nothing, and nobody noticed", idle)
			}
			c.fake.idle = 0
			c.killed(t, []int{0}, false)
		}
	})
}

// TestDropBelievesNoTool: what was not removed is no more forgotten than it is gone.
func TestDropBelievesNoTool(t *testing.T) {
	for _, volume := range []string{"thin", "thick"} {
		f, m := newFake(t)
		ref := f.take(t, volume, "first")
		f.idle = f.count + 1
		if err := m.Drop(t.Context(), methods.DropRequest{Ref: ref}); err == nil {
			t.Errorf("the %s snapshot is there, and nobody noticed", volume)
		}
		f.idle = 0
		if err := m.Drop(t.Context(), methods.DropRequest{Ref: ref}); err != nil {
			t.Error(err)
		}
	}
}

func (c swapCase) killed(t *testing.T, kills []int, early bool) {
	t.Helper()
	for _, kill := range kills {
		_ = c.run(t, kill, early)
		c.mustHave(t, "now")
	}
	if err := c.m.CheckRevert(t.Context(), c.req); err != nil {
		t.Fatalf("killed at %d: %v", kills, err)
	}
	if err := c.run(t, 0, false); err != nil {
		t.Fatalf("killed at %d: %v", kills, err)
	}
	c.check(t, "now")
	if t.Failed() {
		t.Fatalf("killed at %d, early %t", kills, early)
	}
}

// mustHave checks that the present is somewhere, unless it may go.
func (c swapCase) mustHave(t *testing.T, content string) {
	t.Helper()
	for _, v := range c.fake.volumes {
		if v.content == content {
			return
		}
	}
	if c.req.Keep != nil {
		t.Fatalf("no volume has the content %q", content)
	}
}

// TestSwapAgain: the guest writes after a revert, and the next one with the same target must revert that.
func TestSwapAgain(t *testing.T) {
	bothKeeps(t, func(t *testing.T, keep bool) {
		c := newSwap(t, keep)
		for range 2 {
			if err := c.run(t, 0, false); err != nil {
				t.Fatal(err)
			}
			c.check(t, "now")
			c.fake.volumes["thin"].content = "later"
		}
	})
}

// TestSwapAfterAbandoned: nobody finished a revert that kept nothing, and the next one keeps.
func TestSwapAfterAbandoned(t *testing.T) {
	const secondRename = 4
	for kill := 1; kill <= secondRename+1; kill++ {
		c := newSwap(t, true)
		keep := c.req.Keep
		c.req.Keep = nil
		_ = c.run(t, kill, false)
		c.req.Keep = keep
		if err := c.run(t, 0, false); err != nil {
			t.Fatal(err)
		}
		kept := "now"
		if kill >= secondRename {
			kept = "then"
		}
		c.check(t, kept)
	}
}

func TestSwapFailureBeforeFirstRenameLeavesNothing(t *testing.T) {
	c := newSwap(t, true)
	c.fake.refuse = "lvrename"
	if err := c.run(t, 0, false); err == nil {
		t.Fatal("no error")
	}
	if c.fake.volumes["ds-first-vda-new"] != nil || c.fake.volumes["thin"].content != "now" {
		t.Errorf("left %q", slices.Sorted(maps.Keys(c.fake.volumes)))
	}
}

// TestDropOfKeptInSwap: the present, moved aside and not yet marked, must not be dropped as a snapshot.
func TestDropOfKeptInSwap(t *testing.T) {
	c := newSwap(t, true)
	const firstRename = 3
	_ = c.run(t, firstRename, false)
	if c.fake.volumes["ds-keep-vda"] == nil {
		t.Fatal("the present was not moved aside")
	}
	if err := c.m.Drop(t.Context(), methods.DropRequest{Ref: *c.req.Keep}); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("drop: %v", err)
	}
	c.mustHave(t, "now")
}

func TestCheckRevertBlockers(t *testing.T) {
	for what, c := range map[string]struct {
		set  func(*fakeLVM, *methods.RevertRequest)
		want error
	}{
		"open":     {func(f *fakeLVM, _ *methods.RevertRequest) { f.volumes["thin"].open = true }, methods.ErrBlocked},
		"resized":  {func(f *fakeLVM, _ *methods.RevertRequest) { f.volumes["thin"].size++ }, methods.ErrBlocked},
		"merging":  {func(f *fakeLVM, _ *methods.RevertRequest) { f.volumes["thin"].merging = true }, methods.ErrBlocked},
		"no disk":  {func(f *fakeLVM, _ *methods.RevertRequest) { delete(f.volumes, "thin") }, methods.ErrNotFound},
		"no snap":  {func(f *fakeLVM, _ *methods.RevertRequest) { delete(f.volumes, "ds-first-vda") }, methods.ErrNotFound},
		"pool":     {func(f *fakeLVM, _ *methods.RevertRequest) { f.volumes["thin"].pool = "pool1" }, methods.ErrBlocked},
		"full":     {func(f *fakeLVM, _ *methods.RevertRequest) { f.volumes["pool0"].metadata = "95.01" }, methods.ErrBlocked},
		"other":    {func(f *fakeLVM, r *methods.RevertRequest) { r.Disk.Source = methods.Source{Dev: f.dev + "/vg/thick"} }, methods.ErrBlocked},
		"no lv":    {func(_ *fakeLVM, r *methods.RevertRequest) { r.Disk.Source = methods.Source{File: "/x.img"} }, methods.ErrBlocked},
		"bad keep": {func(_ *fakeLVM, r *methods.RevertRequest) { k := r.To; r.Keep = &k }, methods.ErrBlocked},
		"thick":    {func(f *fakeLVM, _ *methods.RevertRequest) { f.volumes["thin"].pool = "" }, methods.ErrBlocked},
	} {
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			s := newSwap(t, false)
			c.set(s.fake, &s.req)
			if err := s.m.CheckRevert(t.Context(), s.req); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
			if s.fake.count != 0 {
				t.Error("something was changed")
			}
		})
	}
}
