package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

func TestEveryVerb(t *testing.T) {
	wantNothingLeft(t)
	m, ctx, ref := load(t, "good"), t.Context(), testRef()
	planned, err := m.Plan(ctx, methods.PlanRequest{Disk: testDisk(), ID: "sone"})
	want := methods.Ref{
		Snapshot: "sone", Method: "good", Mode: "fast", Disk: testDisk(), Origin: "o1", Name: "n1", Reserve: 7, Size: 4096, Lock: "engine good l",
	}
	wantSame(t, want, planned, err)
	kept, err := m.PlanKeep(ctx, methods.PlanRequest{Disk: testDisk(), ID: "sone"})
	wantSame(t, "n2", kept.Name, err)
	info, err := m.Stat(ctx, ref)
	wantSame(t, methods.Info{BytesUsed: 5}, info, err)
	source, err := m.Source(ctx, ref)
	wantSame(t, methods.BackupSource{XML: "<source file='/x'/>", URI: "/x", Format: "raw"}, source, err)
	extents, err := m.Changes(ctx, methods.ChangesRequest{From: ref})
	wantSame(t, []methods.Extent{{Length: 1024}, {Offset: 2048, Length: 1}}, extents, err)
	wantSame(t, methods.Claim{Rank: methods.RankOnly, Why: "why not"}, m.Claim(ctx, testDisk()), nil)
	done, err := m.Revert(ctx, methods.RevertRequest{To: ref})
	wantSame(t, methods.Reverted{How: methods.HowNative, BytesWritten: 9}, done, err)
	names, err := m.List(ctx, testDisk())
	wantSame(t, []string{"ds-sone-vda"}, names, err)
	probed, err := m.Probe(ctx, ref)
	wantSame(t, methods.Verbs{Claim: true, Check: true, Prepare: true, Changes: true, Revert: true}, probed, err)
	if err := errors.Join(m.Check(ctx), m.CheckRevert(ctx, methods.RevertRequest{To: ref}), m.Drop(ctx, methods.DropRequest{Ref: ref}), m.Take(ctx, ref)); err != nil {
		t.Error(err)
	}
}

func wantSame(t *testing.T, want, got any, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPlanDropRenamesOnlyWhatItMay(t *testing.T) {
	other := testRef()
	other.Snapshot, other.Reserve = "stwo", 3
	plan, err := load(t, "good").PlanDrop(t.Context(), methods.DropRequest{Ref: testRef(), Others: []methods.Ref{other}})
	other.Name, other.Origin = "new", "o2"
	wantSame(t, methods.DropPlan{NeededBy: []string{}, Renamed: []methods.Ref{other}}, plan, err)
}

func TestWithoutProbeEveryDiskHasTheVerbs(t *testing.T) {
	m := load(t, "without-probe")
	v, err := m.Probe(t.Context(), testRef())
	wantSame(t, m.Verbs(), v, err)
}

func TestPrepareStartsTheProcessAlsoWithoutTheVerb(t *testing.T) {
	for _, behaviour := range []string{"good", "without-prepare", "atomic"} {
		wantNothingLeft(t)
		m := load(t, behaviour)
		if !methods.VerbsOf(m).Prepare {
			t.Errorf("%s has no prepare", behaviour)
		}
		ready, err := methods.Prepare(t.Context(), m, []methods.Ref{testRef(), testRef()})
		if err != nil {
			t.Fatal(err)
		}
		asked := ready.(*prepared).session.lastID
		if err := ready.Take(t.Context()); err != nil {
			t.Error(err)
		}
		if took := ready.(*prepared).session.lastID - asked; took != int64(len(ready.(*prepared).groups)) {
			t.Errorf("%s: the take asked %d times", behaviour, took)
		}
		for range 2 {
			if err := ready.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := ready.Take(t.Context()); err == nil {
			t.Error("it takes after the close")
		}
	}
}

func TestMoverSaysWhereTo(t *testing.T) {
	if _, err := load(t, "mover").Plan(t.Context(), methods.PlanRequest{Disk: testDisk(), ID: "sone"}); err == nil {
		t.Error("a plan without active is taken for right")
	}
}

func TestContent(t *testing.T) {
	wantNothingLeft(t)
	content, err := load(t, "good").Open(t.Context(), testRef())
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(io.NewSectionReader(content, 0, content.Size()))
	wantSame(t, "0123456789", string(all), err)
	if n, err := content.ReadAt(make([]byte, 1), 10); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end it reads %d, %v", n, err)
	}
	for range 2 {
		if err := content.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The engine has to take away what open made, also where whoever reads was interrupted.
func TestContentIsClosedAfterItsContextEnded(t *testing.T) {
	wantNothingLeft(t)
	ctx, cancel := context.WithCancel(t.Context())
	content, err := load(t, "good").Open(ctx, testRef())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = content.ReadAt(make([]byte, 10), 0)
	wantKind(t, err, context.Canceled)
	if err := content.Close(); err != nil {
		t.Error(err)
	}
}

func TestKindsOfErrors(t *testing.T) {
	for kind, want := range map[string]error{
		"exists": methods.ErrExists, "not-found": methods.ErrNotFound, "broken": methods.ErrBroken,
		"unsupported": methods.ErrUnsupported, "blocked": methods.ErrBlocked, "failed": nil,
	} {
		refused, wrong := refusal{Kind: kind, Message: "m", Hint: "h"}.asError()
		if wrong != nil || want != nil && !errors.Is(refused, want) || !strings.HasPrefix(refused.Error(), "m") {
			t.Errorf("%s: %v, %v", kind, refused, wrong)
		}
		if b := (*methods.Blocked)(nil); errors.As(refused, &b) && b.Hint != "h" {
			t.Errorf("its hint is %q", b.Hint)
		}
	}
}

// script is an engine in a line of shell, run before it greets.
func script(t *testing.T, line string) File {
	t.Helper()
	f := File{Name: "script", Path: t.TempDir() + "/" + Prefix + "script"}
	text := "#!/bin/sh\n" + line + "\nread x; echo '" + goodGreeting + "'; cat >/dev/null\n"
	if err := os.WriteFile(f.Path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEngineGetsNothingOfOurs(t *testing.T) {
	t.Setenv("LD_PRELOAD_X", "secret")
	leak, err := unix.Dup(1)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	m := Load(t.Context(), script(t, "{ env | sort; pwd; ls /proc/self/fd; } >&2; exit 9"), short)
	var e *Error
	if !errors.As(m.broken, &e) {
		t.Fatal(m.broken)
	}
	// ls has the directory open as well.
	want := "DOMSNAP_PROTOCOL=1\nHOME=/\nLC_ALL=C\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\n/\n0\n1\n2\n3"
	if diff := cmp.Diff(want, e.Stderr); diff != "" {
		t.Error(diff)
	}
}
