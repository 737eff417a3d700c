package hold_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator/hold"
)

const uuid = "6f1d2c3b-0000-4000-8000-000000000001"

func note(snapshot string) hold.Note {
	return hold.Note{
		Snapshot: snapshot, Disk: "vda", PID: os.Getpid(), For: "snapshot-export",
		Since: time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC),
	}
}

func taken(t *testing.T, s hold.Store, snapshot string) *hold.Hold {
	t.Helper()
	h, err := s.Take(uuid, note(snapshot))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func wantLiving(t *testing.T, s hold.Store, want ...hold.Note) {
	t.Helper()
	got, err := s.Living(uuid)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("held: %s", diff)
	}
}

// wantFiles: the store has so many files and directories of the domain.
func wantFiles(t *testing.T, s hold.Store, want int) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.Dir, uuid, "*"))
	if err != nil || len(found) != want {
		t.Errorf("there are %q, %v", found, err)
	}
}

func TestHoldEndsWithRelease(t *testing.T) {
	s := hold.Store{Dir: t.TempDir()}
	wantLiving(t, s)
	h := taken(t, s, "one")
	if _, err := h.Work(); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(uuid); err != nil {
		t.Error(err)
	}
	wantLiving(t, s, note("one"))
	if err := h.Release(); err != nil {
		t.Error(err)
	}
	wantLiving(t, s)
	wantFiles(t, s, 0)
}

func TestHoldsAreSeenByAllWhoLook(t *testing.T) {
	s := hold.Store{Dir: t.TempDir()}
	a, b := taken(t, s, "one"), taken(t, s, "one")
	defer release(t, b)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 50 {
				if got, err := s.Living(uuid); err != nil || len(got) != 2 {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
	}
	wait.Wait()
	if err := a.Release(); err != nil {
		t.Error(err)
	}
	wantLiving(t, s, note("one"))
}

// TestHolder is the process that another test kills.
func TestHolder(t *testing.T) {
	dir := os.Getenv("DOMSNAP_TEST_HOLD")
	if dir == "" {
		return
	}
	h := taken(t, hold.Store{Dir: dir}, "one")
	if _, err := h.Work(); err != nil {
		t.Fatal(err)
	}
	// Its child inherits what is no business of its: the hold must not stay with it.
	if err := exec.Command("sleep", "5").Start(); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("held\n")
	time.Sleep(time.Minute)
}

func TestHoldEndsWithItsProcess(t *testing.T) {
	s := hold.Store{Dir: t.TempDir()}
	holder := exec.Command(os.Args[0], "-test.run=^TestHolder$")
	holder.Env = append(os.Environ(), "DOMSNAP_TEST_HOLD="+s.Dir)
	out, err := holder.StdoutPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if got, err := s.Living(uuid); err != nil || len(got) != 1 || got[0].PID != holder.Process.Pid {
		t.Errorf("%v, %v", got, err)
	}
	_, _ = holder.Process.Kill(), holder.Wait()
	wantLiving(t, s)
	wantFiles(t, s, 2)
	if err := s.Sweep(uuid); err != nil {
		t.Error(err)
	}
	wantFiles(t, s, 0)
}

func TestHoldStaysWithWhoInheritsIt(t *testing.T) {
	s := hold.Store{Dir: t.TempDir()}
	h := taken(t, s, "one")
	heir := exec.Command("sleep", "60")
	heir.ExtraFiles = []*os.File{h.File}
	if err := heir.Start(); err != nil {
		t.Fatal(err)
	}
	if err := h.File.Close(); err != nil {
		t.Fatal(err)
	}
	wantLiving(t, s, note("one"))
	_, _ = heir.Process.Kill(), heir.Wait()
	wantLiving(t, s)
}

func TestNoteThatCannotBeReadHoldsAllTheSame(t *testing.T) {
	s := hold.Store{Dir: t.TempDir()}
	h := taken(t, s, "one")
	defer release(t, h)
	if err := os.WriteFile(h.File.Name(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantLiving(t, s, hold.Note{Snapshot: "one"})
}

func TestNothingButAnIDIsHeld(t *testing.T) {
	for _, id := range []string{"", "../one", "a/b", "a.b"} {
		if _, err := (hold.Store{Dir: t.TempDir()}).Take(uuid, note(id)); err == nil {
			t.Errorf("%q is held", id)
		}
	}
}

func release(t *testing.T, h *hold.Hold) {
	t.Helper()
	if err := h.Release(); err != nil {
		t.Error(err)
	}
}
