package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/orchestrator"
)

// drawing is a progress whose clock the test moves.
type drawing struct {
	progress
	to  strings.Builder
	now time.Time
}

func newDrawing() *drawing {
	d := &drawing{now: time.Now()}
	d.progress.to = &d.to
	return d
}

// after tells, that much later, how many MiB of how many a step has done, and gives what is drawn for it.
func (d *drawing) after(took time.Duration, step string, done, total int64) string {
	d.now = d.now.Add(took)
	return d.show(orchestrator.Event{Step: step, Current: done << 20, Total: total << 20})
}

func (d *drawing) show(e orchestrator.Event) string {
	d.to.Reset()
	d.progress.show(e, d.now)
	return d.to.String()
}

func drawn(text string) string { return wipe + noWrap + text + wrapAgain }

// TestProgressTellsRateAndTimeLeft: of what is done since it was first told of, which may be a good part of it after a cut.
func TestProgressTellsRateAndTimeLeft(t *testing.T) {
	d := newDrawing()
	for _, told := range []struct {
		after time.Duration
		done  int64
		want  string
	}{
		{0, 40, drawn("replicate vda  40 %, 40.0 of 100.0 MiB")},
		{redraw / 2, 41, ""},
		{settled / 2, 42, drawn("replicate vda  42 %, 42.0 of 100.0 MiB")},
		{2*time.Second - settled/2 - redraw/2, 60, drawn("replicate vda  60 %, 60.0 of 100.0 MiB, 10.0 MiB/s, 4s left")},
		{time.Second, 10, drawn("replicate vda  10 %, 10.0 of 100.0 MiB")},
	} {
		if said := d.after(told.after, "replicate vda", told.done, 100); said != told.want {
			t.Errorf("at %d MiB it draws %q, want %q", told.done, said, told.want)
		}
	}
	if said := d.show(orchestrator.Event{Step: "replicate vda", Done: true}); said != wipe || len(d.steps) != 0 {
		t.Errorf("at the end it draws %q and remembers %v", said, d.steps)
	}
}

// TestProgressOfStepsSideBySide: together, and the time that the longest of them has left.
func TestProgressOfStepsSideBySide(t *testing.T) {
	d := newDrawing()
	d.after(0, "revert vda", 0, 20<<10)
	d.after(0, "revert vdb", 0, 100)
	d.after(10*time.Second, "revert vda", 1<<10, 20<<10)
	got := d.after(redraw, "revert vdb", 101, 101)
	if want := drawn("revert vda, revert vdb   5 %, 1.1 of 20.1 GiB, 111.4 MiB/s, 3m12s left"); got != want {
		t.Errorf("drawn %q, want %q", got, want)
	}
	d.show(orchestrator.Event{Step: "revert vda", Done: true})
	if got, want := d.after(0, "revert vdb", 101, 101), "revert vdb 100 %"; !strings.Contains(got, want) {
		t.Errorf("drawn %q, want %q", got, want)
	}
}

// TestNothingIsPrintedBehindTheLine: it is gone before the end is told, and before a step is with --verbose.
func TestNothingIsPrintedBehindTheLine(t *testing.T) {
	var terminal bytes.Buffer
	ui := &ui{out: &terminal, err: &terminal, verbose: 1, progress: &progress{to: &terminal}}
	part := orchestrator.Event{Step: "drop vda", Current: 1, Total: 2}
	ui.watch(part)
	ui.watch(orchestrator.Event{Step: "other", Done: true})
	ui.watch(part)
	ui.finish(errors.New("it broke"))
	if parts := strings.Split(terminal.String(), "drop vda  50 %"); len(parts) != 3 ||
		!strings.Contains(parts[1], wipe+"other: done") || !strings.HasSuffix(parts[2], wipe+"domsnap: it broke\n") {
		t.Errorf("printed %q", terminal.String())
	}
}
