package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator"
)

// tree makes snapshots from pairs of a name and its parent; the last one is current.
func tree(pairs ...string) []*orchestrator.Snapshot {
	var list []*orchestrator.Snapshot
	for i := 0; i < len(pairs); i += 2 {
		s := &orchestrator.Snapshot{Name: pairs[i]}
		if pairs[i+1] != "" {
			s.Parent = &pairs[i+1]
		}
		list = append(list, s)
	}
	list[len(list)-1].Current = true
	return list
}

func TestTree(t *testing.T) {
	for _, c := range []struct {
		name string
		list []*orchestrator.Snapshot
		want string
	}{
		{"one", tree("root", ""), `root
└─ (you are here)
`},
		{"branches", tree("root", "", "left", "root", "below", "left", "right", "root", "leaf", "right", "middle", "root"), `root
├─ left
│  └─ below
├─ right
│  └─ leaf
└─ middle
   └─ (you are here)
`},
		{"two roots, and a parent that is not shown", tree("a", "", "c", "gone", "b", "a"), `a
└─ b
   └─ (you are here)
c
`},
		{"a name that would move the cursor", tree("a\x1b[2Jb", ""), `a[2Jb
└─ (you are here)
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := drawTree(&out, c.list); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCurrentWithChildrenIsMarkedAboveThem(t *testing.T) {
	list := tree("root", "", "leaf", "root")
	list[0].Current, list[1].Current = true, false
	var out bytes.Buffer
	if err := drawTree(&out, list); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("root\n├─ (you are here)\n└─ leaf\n", out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPrintableTakesOutWhatMovesTheCursor(t *testing.T) {
	for in, want := range map[string]string{
		"plain äöü\n\ttext": "plain äöü\n\ttext", "\x1b[31mred": "[31mred", "a\rb\x00c\x7f": "abc", "\u009b2J": "2J",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestTableKeepsARowOnItsLine(t *testing.T) {
	var out bytes.Buffer
	table := newTable(&out, "Name", "Why")
	table.row("one\ntwo", "because")
	table.row("x", "")
	if err := table.flush(); err != nil {
		t.Fatal(err)
	}
	want := " Name      Why\n ----      ---\n one two   because\n x\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTableFitsInEightyColumns(t *testing.T) {
	const path, words = "/var/lib/libvirt/images/web1.qcow2", "an overlay for each disk, and all of them in one transaction of QEMU, so that they show one instant"
	var out bytes.Buffer
	table := newTable(&out, "Target", "Source", "Because")
	table.row("vda", path, words)
	table.note(words)
	table.row("vdb", "-", words)
	if err := table.flush(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for _, line := range lines[:len(lines)-2] {
		if len(line) > tableWidth {
			t.Errorf("%q is %d wide", line, len(line))
		}
	}
	if got := strings.Fields(out.String()); strings.Count(out.String(), "transaction") != 3 || len(got) != 10+3*len(strings.Fields(words)) {
		t.Errorf("something is lost: %s", out.String())
	}
}

func TestErrorIsALineAndAHint(t *testing.T) {
	var out, said bytes.Buffer
	ui := &ui{out: &out, err: &said}
	code := ui.finish(&orchestrator.Problem{Kind: orchestrator.ErrBusy, Err: errors.New("it is \x1b[2Jbusy"), Hint: "wait"})
	if code != 4 || out.Len() > 0 {
		t.Errorf("it ended with %d and printed %q", code, out.String())
	}
	if diff := cmp.Diff("domsnap: it is [2Jbusy\nhint: wait\n", said.String()); diff != "" {
		t.Error(diff)
	}
}

func TestHowTheGuestWasHeldIsSaid(t *testing.T) {
	for _, c := range []struct {
		in   orchestrator.Consistency
		want string
	}{
		{orchestrator.Consistency{Level: "filesystem", FrozenMS: 250, FilesystemsFrozen: 2}, "2 file systems frozen for 250 ms"},
		{orchestrator.Consistency{Level: "crash", PausedMS: 80}, "guest paused for 80 ms"},
		{orchestrator.Consistency{Level: "crash", FrozenMS: 10000, PausedMS: 80}, "guest paused for 80 ms"},
		{orchestrator.Consistency{Level: "offline"}, "the domain was off"},
		{orchestrator.Consistency{Level: "crash"}, "the guest was not held"},
	} {
		if got := held(c.in); got != c.want {
			t.Errorf("%+v: %q, want %q", c.in, got, c.want)
		}
	}
}
