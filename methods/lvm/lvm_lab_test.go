//go:build lab

package lvm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

func TestLabHost(t *testing.T) {
	if err := New(command.Host{}).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestLabTakeStatDrop(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		if c := m.Claim(t.Context(), disk); c.Rank != methods.RankOnly {
			t.Errorf("claim: %+v", c)
		}
		labWrite(t, disk, 'a', 0, 1<<20)
		before := labRead(t, disk.Source.Dev)
		ref := labTake(t, m, disk, "first")
		labNodes(t)
		labWrite(t, disk, 'b', 0, 1<<20)
		if !bytes.Equal(labContent(t, m, ref), before) {
			t.Error("the snapshot changed with its origin")
		}
		info, err := m.Stat(t.Context(), ref)
		if err != nil || (ref.Mode == modeThick && info.BytesUsed < 1<<20) {
			t.Errorf("stat: %+v, %v", info, err)
		}
		if err := m.Take(t.Context(), ref); !errors.Is(err, methods.ErrExists) {
			t.Errorf("second take: %v", err)
		}
		for range 2 {
			if err := m.Drop(t.Context(), methods.DropRequest{Ref: ref}); err != nil {
				t.Errorf("drop: %+v", err)
			}
		}
		if _, err := m.Stat(t.Context(), ref); !errors.Is(err, methods.ErrNotFound) {
			t.Errorf("stat after drop: %v", err)
		}
	})
}

func TestLabAliases(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		want := strings.TrimPrefix(disk.Source.Dev, "/dev/")
		n, _ := parseName(want)
		device := "/dev/" + strings.TrimPrefix(strings.TrimSpace(labRun(t, "readlink", "/dev/mapper/"+n.mapped())), "../")
		for _, path := range []string{"/dev/mapper/" + n.mapped(), device} {
			disk.Source.Dev = path
			if ref := labPlan(t, m, disk, "first"); ref.Origin != want {
				t.Errorf("%s: %s", path, ref.Origin)
			}
		}
	})
}

func TestLabRevert(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		states := map[string][]byte{}
		refs := map[string]methods.Ref{}
		for i, id := range []string{"older", "middle", "younger"} {
			labWrite(t, disk, byte('a'+i), int64(i)<<20, 1<<20)
			states[id] = labRead(t, disk.Source.Dev)
			refs[id] = labTake(t, m, disk, id)
		}
		labWrite(t, disk, 'z', labSize-8192, 8192)
		for round, id := range []string{"middle", "middle", "older", "younger"} {
			present := labRead(t, disk.Source.Dev)
			keep, err := m.PlanKeep(t.Context(), methods.PlanRequest{Disk: disk, ID: fmt.Sprintf("keep%d", round)})
			if err != nil {
				t.Fatal(err)
			}
			labDropAfter(t, m, keep)
			labRevert(t, m, methods.RevertRequest{To: refs[id], Disk: disk, Keep: &keep})
			if !bytes.Equal(labRead(t, disk.Source.Dev), states[id]) {
				t.Errorf("round %d: the disk is not as it was at %s", round, id)
			}
			if !bytes.Equal(labContent(t, m, keep), present) {
				t.Errorf("round %d: the present was not kept", round)
			}
			for other, ref := range refs {
				if !bytes.Equal(labContent(t, m, ref), states[other]) {
					t.Errorf("round %d: %s changed", round, other)
				}
			}
			labNodes(t)
			labWrite(t, disk, byte('0'+round), 0, 64<<10)
		}
	})
}

func TestLabRevertWithoutKeep(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		labWrite(t, disk, 'a', 0, 4<<20)
		want := labRead(t, disk.Source.Dev)
		ref := labTake(t, m, disk, "first")
		for i := range 2 {
			labWrite(t, disk, byte('b'+i), 4096, 1<<20)
			done := labRevert(t, m, methods.RevertRequest{To: ref, Disk: disk})
			if ref.Mode == modeThick && done.BytesWritten != 1<<20 {
				t.Errorf("wrote %d bytes", done.BytesWritten)
			}
			if !bytes.Equal(labRead(t, disk.Source.Dev), want) {
				t.Error("not reverted")
			}
		}
		if tags := labRun(t, "lvs", "--noheadings", "-o", "lv_tags,lv_active", ref.Origin); strings.Join(strings.Fields(tags), " ") != "admin active" {
			t.Errorf("the disk is now %q", tags)
		}
	})
}

func TestLabOpenIsBlocked(t *testing.T) {
	eachMode(t, func(t *testing.T, m *Method, disk methods.Disk) {
		ref := labTake(t, m, disk, "first")
		f, err := os.Open(disk.Source.Dev)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := m.CheckRevert(t.Context(), methods.RevertRequest{To: ref, Disk: disk}); !errors.Is(err, methods.ErrBlocked) {
			t.Errorf("got %v", err)
		}
	})
}

func TestLabOverflow(t *testing.T) {
	m := New(command.Host{})
	disk := labDisk(t, false)
	ref := labTake(t, m, disk, "first")
	labWrite(t, disk, 'a', 0, 16<<20)
	if _, err := m.Stat(t.Context(), ref); !errors.Is(err, methods.ErrBroken) {
		t.Errorf("stat: %v", err)
	}
	if err := m.CheckRevert(t.Context(), methods.RevertRequest{To: ref, Disk: disk}); !errors.Is(err, methods.ErrBroken) {
		t.Errorf("check revert: %v", err)
	}
}

func TestLabNoRoomForOthers(t *testing.T) {
	m := New(command.Host{})
	disk := labDisk(t, false)
	older := labTake(t, m, disk, "older")
	labWrite(t, disk, 'a', 0, 6<<20)
	middle, err := m.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: "middle", Spec: sized(0, 4<<20)})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Take(t.Context(), middle); err != nil {
		t.Fatal(err)
	}
	labDropAfter(t, m, middle)
	err = m.CheckRevert(t.Context(), methods.RevertRequest{To: older, Disk: disk})
	if !errors.Is(err, methods.ErrBlocked) || !strings.Contains(err.Error(), middle.Name) {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}

func TestLabGroupFull(t *testing.T) {
	m := New(command.Host{})
	disk := labDisk(t, false)
	labRun(t, "lvcreate", "-q", "-y", "-l", "100%FREE", "-n", "filler", "vg0")
	defer labRun(t, "lvremove", "-qfy", "vg0/filler")
	_, err := m.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: "first"})
	var blocked *methods.Blocked
	if !errors.As(err, &blocked) || blocked.Hint == "" {
		t.Errorf("got %v", err)
	}
}
