package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/orchestrator"
)

// evil is a text that clears a screen, rings, begins a line and a column of its own, and runs backwards.
const evil = "a\x1b[2J\x07\r\x00\u009b31m\u202eb\nForged: yes\tx\x7f\xff"

func hostileSnapshot() *orchestrator.Snapshot {
	e := evil
	return &orchestrator.Snapshot{
		Domain: e, Name: e, ID: e, Parent: &e, Description: e, State: e, Reason: e, Current: true, Dependents: []string{e},
		Consistency: orchestrator.Consistency{Level: e, HeldBy: &e, Skipped: []string{e}},
		Disks: []orchestrator.SnapshotDisk{{
			Target: e, Method: e, Mode: e, Source: e, Ref: e, ModifiedDisk: &e, BackupSource: methods.BackupSource{XML: e, URI: e, Format: e},
		}},
	}
}

// hostileAnswers are what the verbs answer, made of nothing else.
func hostileAnswers() map[string]answer {
	root := hostileSnapshot()
	root.Parent = nil
	s, steps := hostileSnapshot(), []orchestrator.PlannedStep{{Step: evil, Window: true}}
	list := []*orchestrator.Snapshot{s}
	return map[string]answer{
		"info":    snapshotAnswer(s),
		"list":    {list, func(w io.Writer) error { return printList(w, list, true) }},
		"names":   {list, func(w io.Writer) error { return printNames(w, list) }},
		"tree":    {list, func(w io.Writer) error { return drawTree(w, []*orchestrator.Snapshot{root}) }},
		"steps":   stepsAnswer(steps),
		"plan":    createPlanAnswer(&orchestrator.Plan{Name: evil, Steps: steps, Disks: []orchestrator.PlannedDisk{{Target: evil, Method: evil, Ref: evil, Why: evil}}, Skipped: []orchestrator.Skipped{{Target: evil, Why: evil}}}),
		"methods": methodsAnswer([]orchestrator.MethodReport{{Name: evil, Summary: evil, Needs: evil}}),
	}
}

func wantTame(t *testing.T, what, text string) {
	t.Helper()
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && (unicode.IsControl(r) || unprintable(r)) }) {
		t.Errorf("%s: it says %q", what, text)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "Forged") {
			t.Errorf("%s: it has a line that somebody else wrote: %q", what, text)
		}
	}
}

func TestNothingPrintedMovesTheCursor(t *testing.T) {
	for name, a := range hostileAnswers() {
		for _, json := range []bool{false, true} {
			var out, said bytes.Buffer
			ui := &ui{out: &out, err: &said, json: json}
			if err := ui.print(a); err != nil {
				t.Error(err)
			}
			if out.Len() == 0 {
				t.Errorf("%s: it says nothing", name)
			}
			wantTame(t, fmt.Sprintf("%s, json %t", name, json), out.String())
		}
	}
}

func TestNothingToldMovesTheCursor(t *testing.T) {
	tool := &command.Error{Name: "lvs", Args: []string{evil}, Stderr: evil, Err: fmt.Errorf("exit %s", evil)}
	for verbose := range 3 {
		for _, json := range []bool{false, true} {
			var out, said bytes.Buffer
			ui := &ui{out: &out, err: &said, verbose: verbose, json: json}
			ui.watch(orchestrator.Event{Step: evil, Done: true, Took: time.Second})
			ui.finish(&orchestrator.Problem{Kind: orchestrator.ErrFailed, Err: fmt.Errorf("do %s: %w", evil, tool), Hint: evil})
			text := strings.ReplaceAll(said.String()+out.String(), "\nForged", "\n forged")
			wantTame(t, fmt.Sprintf("-v %d, json %t", verbose, json), text)
		}
	}
	var drawn bytes.Buffer
	(&progress{to: &drawn}).show(orchestrator.Event{Step: evil, Current: 1, Total: 2}, time.Now())
	wantTame(t, "progress", strings.NewReplacer(wipe, "", noWrap, "", wrapAgain, "").Replace(drawn.String()))
}
