package lvm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// fakePool is a group whose thin pool gives metadata snapshots.
type fakePool struct {
	*fakeLVM
	version, delta string
	// held: there is a metadata snapshot. messages are those that the pool got.
	held     bool
	messages []string
	// during runs when thin_delta does.
	during func()
	// fails is a message, or a tool, that does nothing and fails.
	fails string
}

func newPool(t *testing.T) (*fakePool, methods.ChangesRequest) {
	t.Helper()
	f, m := newFake(t)
	p := &fakePool{fakeLVM: f, version: "1.1.0\n", during: func() {}}
	m.run = p
	f.volumes["thin"].id = "1"
	req := methods.ChangesRequest{From: f.take(t, "thin", "first"), Disk: fakeDisk(f, "thin")}
	f.volumes["ds-first-vda"].id = "2"
	p.delta = strings.NewReplacer(`left="1"`, `left="2"`, `right="2"`, `right="1"`).Replace(deltaBegin) +
		`<different begin="3" length="1"/>` + deltaEnd
	f.device(t, "vg/thin", nil)
	f.device(t, "mapper/vg-pool0_tmeta", nil)
	m.number = func(string) (string, error) { return "", os.ErrNotExist }
	f.calls = nil
	return p, req
}

func (p *fakePool) Run(ctx context.Context, tool string, args ...string) ([]byte, error) {
	if p.fails == tool {
		return nil, &command.Error{Name: tool, Args: args, Err: errors.New("exit status 1")}
	}
	switch {
	case tool == thinDelta && args[0] == "--version":
		return []byte(p.version), nil
	case tool == thinDelta:
		p.calls = append(p.calls, append([]string{tool}, args...))
		p.during()
		return []byte(p.delta), ctx.Err()
	case tool == "dmsetup" && args[0] == "message":
		return nil, p.message(args[1:])
	}
	return p.fakeLVM.Run(ctx, tool, args...)
}

func (p *fakePool) message(args []string) error {
	text := args[len(args)-1]
	p.messages = append(p.messages, text)
	if args[0] != "vg-pool0-tpool" || args[1] != "0" || p.fails == text || p.held == (text == "reserve_metadata_snap") {
		return &command.Error{Name: "dmsetup", Args: args, Stderr: "Device or resource busy", Err: errors.New("exit status 1")}
	}
	p.held = !p.held
	return nil
}

func (p *fakePool) changes(t *testing.T, req methods.ChangesRequest) ([]methods.Extent, error) {
	t.Helper()
	return p.method.Changes(t.Context(), req)
}

// wantReleased wants the pool as it was.
func (p *fakePool) wantReleased(t *testing.T) {
	t.Helper()
	if p.held || slices.Contains(p.volumes["pool0"].tags, metadataTag) {
		t.Errorf("held: %t, tags %q, messages %q", p.held, p.volumes["pool0"].tags, p.messages)
	}
}

func TestThinChanges(t *testing.T) {
	p, req := newPool(t)
	got, err := p.changes(t, req)
	if want := []methods.Extent{{Offset: 3 << 16, Length: 1 << 16}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	p.wantReleased(t)
	want := "thin_delta --metadata-snap --thin1 2 --thin2 1 " + p.dev + "/mapper/vg-pool0_tmeta"
	if !slices.ContainsFunc(p.calls, func(call []string) bool { return strings.Join(call, " ") == want }) {
		t.Errorf("ran %q", p.calls)
	}
}

func TestThinChangesBetween(t *testing.T) {
	p, req := newPool(t)
	second := p.take(t, "thin", "second")
	p.volumes["ds-second-vda"].id = "7"
	p.delta = strings.ReplaceAll(p.delta, `right="1"`, `right="7"`)
	delete(p.volumes, "thin")
	req.To = &second
	if got, err := p.changes(t, req); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	p.wantReleased(t)
}

func TestThinChangesRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		set  func(*fakePool, *methods.ChangesRequest)
		want error
	}{
		"qcow2":      {func(_ *fakePool, r *methods.ChangesRequest) { r.From.Disk.Format = "qcow2" }, methods.ErrUnsupported},
		"now qcow2":  {func(_ *fakePool, r *methods.ChangesRequest) { r.Disk.Format = "qcow2" }, methods.ErrUnsupported},
		"other disk": {func(p *fakePool, r *methods.ChangesRequest) { r.Disk = fakeDisk(p.fakeLVM, "thick") }, methods.ErrUnsupported},
		"no volume":  {func(_ *fakePool, r *methods.ChangesRequest) { r.Disk.Source = methods.Source{File: "/x"} }, methods.ErrUnsupported},
		"gone":       {func(p *fakePool, _ *methods.ChangesRequest) { delete(p.volumes, "ds-first-vda") }, methods.ErrNotFound},
		"no disk":    {func(p *fakePool, _ *methods.ChangesRequest) { delete(p.volumes, "thin") }, methods.ErrNotFound},
		"resized":    {func(p *fakePool, _ *methods.ChangesRequest) { p.volumes["thin"].size++ }, methods.ErrBlocked},
		"merging":    {func(p *fakePool, _ *methods.ChangesRequest) { p.volumes["thin"].merging = true }, methods.ErrBlocked},
		"pools":      {func(p *fakePool, _ *methods.ChangesRequest) { p.volumes["thin"].pool = "pool1" }, methods.ErrUnsupported},
		"inactive":   {func(p *fakePool, _ *methods.ChangesRequest) { _ = os.Remove(p.dev + "/mapper/vg-pool0_tmeta") }, methods.ErrUnsupported},
		"renumbered": {func(p *fakePool, _ *methods.ChangesRequest) { p.volumes["thin"].id = "9" }, methods.ErrUnsupported},
		"no tool":    {func(p *fakePool, _ *methods.ChangesRequest) { p.method.run = without{p, thinDelta} }, methods.ErrUnsupported},
		"tool fails": {func(p *fakePool, _ *methods.ChangesRequest) { p.fails = thinDelta }, nil},
		"bad output": {func(p *fakePool, _ *methods.ChangesRequest) { p.delta = p.delta[:150] }, methods.ErrUnsupported},
		"held":       {func(p *fakePool, _ *methods.ChangesRequest) { p.held = true }, methods.ErrUnsupported},
		"no release": {func(p *fakePool, _ *methods.ChangesRequest) { p.fails = "release_metadata_snap" }, nil},
	} {
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			p, req := newPool(t)
			c.set(p, &req)
			got, err := p.changes(t, req)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, %v", got, err)
			}
			if what == "held" {
				p.held = !p.held
			}
			if what != "no release" {
				p.wantReleased(t)
			}
		})
	}
}

// without is a host that lacks a program.
type without struct {
	command.Runner
	program string
}

func (w without) Run(ctx context.Context, tool string, args ...string) ([]byte, error) {
	if tool == w.program {
		return nil, &command.Error{Name: tool, Args: args, Err: &exec.Error{Name: tool, Err: exec.ErrNotFound}}
	}
	return w.Runner.Run(ctx, tool, args...)
}

// TestForeignMetadataSnapStays: what nothing says is ours is not released.
func TestForeignMetadataSnapStays(t *testing.T) {
	p, req := newPool(t)
	p.held = true
	_, err := p.changes(t, req)
	if !p.held || len(p.messages) != 1 || !strings.Contains(err.Error(), "release_metadata_snap") {
		t.Errorf("held: %t, messages %q, %v", p.held, p.messages, err)
	}
}

// TestStaleMetadataSnapGoes: a process of ours ended with a metadata snapshot, or before it had one.
func TestStaleMetadataSnapGoes(t *testing.T) {
	for _, held := range []bool{true, false} {
		p, req := newPool(t)
		p.held, p.volumes["pool0"].tags = held, []string{"admin", metadataTag}
		if _, err := p.changes(t, req); err != nil {
			t.Error(err)
		}
		p.wantReleased(t)
		if !slices.Equal(p.volumes["pool0"].tags, []string{"admin"}) {
			t.Errorf("tags %q", p.volumes["pool0"].tags)
		}
	}
}

func TestCancelledChangesRelease(t *testing.T) {
	p, req := newPool(t)
	ctx, cancel := context.WithCancel(t.Context())
	p.during = cancel
	if _, err := p.method.Changes(ctx, req); !errors.Is(err, context.Canceled) || errors.Is(err, methods.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	p.wantReleased(t)
}

// TestChangesWait: two processes do not take the pool's one metadata snapshot from each other.
func TestChangesWait(t *testing.T) {
	p, req := newPool(t)
	other, err := os.Open(p.dev + "/mapper/vg-pool0_tmeta")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*pollLock)
	defer cancel()
	if _, err := p.method.Changes(ctx, req); !errors.Is(err, context.DeadlineExceeded) || len(p.messages) != 0 {
		t.Errorf("got %v, %q", err, p.messages)
	}
}

func TestThinDeltaVersions(t *testing.T) {
	p, _ := newPool(t)
	for version, ok := range map[string]bool{
		"0.6.3": false, "0.7.0": true, "0.9.0": true, "1.0.0": false, "1.0.5": false, "1.0.6": true, "1.1.0": true,
		"thin_delta 1.0.4\n": false, "thin_delta 1.0.12\n": true, "2.0.0": true, "": false, "1.1": false, "1.0.6-rc1": false,
	} {
		p.version = version
		err := p.method.checkThinDelta(t.Context())
		if ok != (err == nil) || err != nil && !errors.Is(err, methods.ErrUnsupported) {
			t.Errorf("%q: %v", version, err)
		}
	}
}

func TestProbe(t *testing.T) {
	p, req := newPool(t)
	thick := p.plan(t, "thick", "thick1")
	for what, c := range map[string]struct {
		ref  methods.Ref
		set  func(*methods.Ref)
		want bool
	}{
		"thin":    {req.From, func(*methods.Ref) {}, true},
		"thick":   {thick, func(*methods.Ref) {}, true},
		"qcow2":   {thick, func(r *methods.Ref) { r.Disk.Format = "qcow2" }, false},
		"no tool": {req.From, func(*methods.Ref) { p.method.run = without{p, thinDelta} }, false},
	} {
		p.method.run = p
		c.set(&c.ref)
		verbs, err := p.method.Probe(t.Context(), c.ref)
		if err != nil || verbs.Changes != c.want || !verbs.Revert || !verbs.Keep || !verbs.List {
			t.Errorf("%s: %+v, %v", what, verbs, err)
		}
	}
}

func TestThickChanges(t *testing.T) {
	f, m, revert := thickCase(t)
	req := methods.ChangesRequest{From: revert.To, Disk: revert.Disk}
	got, err := m.Changes(t.Context(), req)
	want := []methods.Extent{{Offset: cowChunk, Length: 2 * cowChunk}, {Offset: 9 * cowChunk, Length: 100}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	second := f.take(t, "thick", "second")
	req.To = &second
	f.device(t, "mapper/vg-ds--second--vda-cow", storeWith(1<<20, 3, 0, 6))
	want = []methods.Extent{{Offset: 0, Length: 4 * cowChunk}, {Offset: 6 * cowChunk, Length: cowChunk}, want[1]}
	for range 2 {
		got, err = m.Changes(t.Context(), req)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v", got, err)
		}
		req.From, req.To = second, &revert.To
	}
	f.checkArgs(t)
}

func TestThickChangesRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		set  func(*fakeLVM, *methods.ChangesRequest)
		want error
	}{
		"qcow2":    {func(_ *fakeLVM, r *methods.ChangesRequest) { r.From.Disk.Format = "qcow2" }, methods.ErrUnsupported},
		"overflow": {func(f *fakeLVM, _ *methods.ChangesRequest) { f.statusOf = "0 131072 snapshot Overflow" }, methods.ErrBroken},
		"invalid":  {func(f *fakeLVM, _ *methods.ChangesRequest) { f.volumes["ds-first-vda"].invalid = true }, methods.ErrBroken},
		"inactive": {func(f *fakeLVM, _ *methods.ChangesRequest) { f.volumes["thick"].active = false }, methods.ErrUnsupported},
		"resized":  {func(f *fakeLVM, _ *methods.ChangesRequest) { f.volumes["thick"].size += cowChunk }, methods.ErrBlocked},
		"gone":     {func(f *fakeLVM, _ *methods.ChangesRequest) { delete(f.volumes, "ds-first-vda") }, methods.ErrNotFound},
		"thin": {func(f *fakeLVM, r *methods.ChangesRequest) {
			to := f.plan(t, "thin", "second")
			r.To = &to
		}, methods.ErrUnsupported},
		"to missing": {func(f *fakeLVM, r *methods.ChangesRequest) {
			to := f.plan(t, "thick", "second")
			r.To = &to
		}, methods.ErrNotFound},
		"other size": {func(f *fakeLVM, r *methods.ChangesRequest) {
			to := f.plan(t, "thick", "second")
			to.Size++
			r.To = &to
		}, methods.ErrBlocked},
	} {
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			f, m, revert := thickCase(t)
			req := methods.ChangesRequest{From: revert.To, Disk: revert.Disk}
			c.set(f, &req)
			if got, err := m.Changes(t.Context(), req); !errors.Is(err, c.want) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
