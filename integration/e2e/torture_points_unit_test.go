//go:build !lab

package e2e

import (
	"slices"
	"testing"
)

// held are points of a create that freezes the guest, as the program tells of them.
var held = []string{
	"before write the journal#1", "after write the journal#1",
	"before prepare vda by rbd#1", "after prepare vda by rbd#1",
	"before agent: guest-fsfreeze-freeze#1", "after agent: guest-fsfreeze-freeze#1",
	"before take vda by rbd#1", "before rbd: create the snapshot#1", "before take vdb by lvm#1",
	"before run lvs#3", "after run lvs#3", "before run lvcreate#1", "after run lvcreate#1", "after take vdb by lvm#1",
	"after rbd: create the snapshot#1", "after take vda by rbd#1",
	"before agent: guest-fsfreeze-thaw#1", "after agent: guest-fsfreeze-thaw#1",
	"before end the journal#1", "after end the journal#1",
}

func TestPointsOfAHoldAreThoseInIt(t *testing.T) {
	want := []string{"before rbd: create the snapshot#1", "before run lvcreate#1", "before agent: guest-fsfreeze-thaw#1"}
	if got := whileHeld(held); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestPointsBetweenAreThoseOfEachTime(t *testing.T) {
	points := []string{"before libvirt: pause#1", "after libvirt: pause#1", "a", "before libvirt: resume#1", "b", "after libvirt: pause#2", "c", "before libvirt: resume#2", "d"}
	want := []string{"a", "before libvirt: resume#1", "c", "before libvirt: resume#2"}
	if got := between(points, pauses, resumes); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestChooseTakesTheFirstOneHalfWayAndTheLast(t *testing.T) {
	var all []string
	for _, n := range []string{"1", "2", "3", "4", "5", "6"} {
		all = append(all, "before run lvremove#"+n, "after run lvremove#"+n)
	}
	want := []string{"before run lvremove#1", "before run lvremove#3", "before run lvremove#6", "after run lvremove#6"}
	if got := choose(all, true); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestFewPointsAreTheOnesThereAre(t *testing.T) {
	for _, c := range []struct{ points, two, three []string }{
		{[]string{"a"}, []string{"a", "a"}, []string{"a"}},
		{[]string{"a", "b"}, []string{"a", "b"}, []string{"a", "b"}},
		{[]string{"a", "b", "c", "d"}, []string{"b", "d"}, []string{"a", "b", "d"}},
	} {
		if two, three := halfWayAndLast(c.points), firstHalfWayAndLast(c.points); !slices.Equal(two, c.two) || !slices.Equal(three, c.three) {
			t.Errorf("of %q: %q, %q", c.points, two, three)
		}
	}
}
