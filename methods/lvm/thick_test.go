package lvm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

const soundStatus = "0 131072 snapshot 16/32768 16"

// storeWith writes an exception store for chunks of 4096 bytes that are kept one after the other.
func storeWith(size int64, old ...int64) []byte {
	s := make([]byte, size)
	for i, word := range []uint32{storeMagic, 1, storeVersion, cowChunk / sectorBytes} {
		binary.LittleEndian.PutUint32(s[4*i:], word)
	}
	const perArea = cowChunk / exceptionBytes
	for i, chunk := range old {
		area := int64(i) / perArea * (perArea + 1)
		at := (1+area)*cowChunk + int64(i)%perArea*exceptionBytes
		binary.LittleEndian.PutUint64(s[at:], uint64(chunk))
		binary.LittleEndian.PutUint64(s[at+8:], uint64(area+2+int64(i)%perArea))
	}
	return s
}

// thickCase is a thick volume of 'b' whose chunks 1, 2 and 9 were 'a' when the snapshot was taken.
func thickCase(t *testing.T) (*fakeLVM, *Method, methods.RevertRequest) {
	t.Helper()
	f, m := newFake(t)
	f.volumes["thick"].size = 9*cowChunk + 100
	f.statusOf = soundStatus
	to := f.take(t, "thick", "first")
	now := bytes.Repeat([]byte{'b'}, 9*cowChunk+100)
	then := bytes.Clone(now)
	for _, chunk := range []int{1, 2, 9} {
		for i := chunk * cowChunk; i < min((chunk+1)*cowChunk, len(then)); i++ {
			then[i] = 'a'
		}
	}
	f.device(t, "vg/thick", now)
	f.device(t, "vg/ds-first-vda", then)
	f.device(t, "mapper/vg-ds--first--vda-cow", storeWith(1<<20, 9, 1, 2))
	m.number = func(string) (string, error) { return "", os.ErrNotExist }
	return f, m, methods.RevertRequest{To: to, Disk: fakeDisk(f, "thick")}
}

func TestThickRevert(t *testing.T) {
	f, m, req := thickCase(t)
	if err := m.CheckRevert(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	for _, written := range []int64{2*cowChunk + 100, 0} {
		done, err := m.Revert(t.Context(), req)
		if err != nil || done.How != methods.HowChangedExtents || done.BytesWritten != written {
			t.Errorf("got %+v, %v; want %d bytes", done, err, written)
		}
		got, _ := os.ReadFile(filepath.Join(f.dev, "vg/thick"))
		want, _ := os.ReadFile(filepath.Join(f.dev, "vg/ds-first-vda"))
		if !bytes.Equal(got, want) {
			t.Error("not reverted")
		}
	}
	f.checkArgs(t)
}

func TestThickRevertKeeps(t *testing.T) {
	f, m, req := thickCase(t)
	keep, err := m.PlanKeep(t.Context(), methods.PlanRequest{Disk: req.Disk, ID: "keep"})
	if err != nil {
		t.Fatal(err)
	}
	req.Keep = &keep
	// Each snapshot is a store that is made, deactivated, converted and sealed, and made once.
	const changes = 2 * 4
	for range 2 {
		f.device(t, "mapper/vg-ds--keep--vda-cow", storeWith(1<<20))
		if _, err := m.Revert(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if k := f.volumes["ds-keep-vda"]; k == nil || k.origin != "thick" || f.count != changes {
			t.Errorf("kept %+v after %d changes", k, f.count)
		}
	}
	f.volumes["ds-keep-vda"].origin = ""
	if _, err := m.Revert(t.Context(), req); err != nil || f.volumes["ds-keep-vda"].origin != "thick" {
		t.Errorf("half-made snapshot of the present: %v", err)
	}
	f.volumes["ds-keep-vda"].invalid = true
	if _, err := m.Revert(t.Context(), req); !errors.Is(err, methods.ErrBroken) {
		t.Errorf("broken snapshot of the present: %v", err)
	}
}

func TestThickRevertRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		set  func(*testing.T, *fakeLVM)
		want error
	}{
		"overflow": {func(_ *testing.T, f *fakeLVM) { f.statusOf = "0 131072 snapshot Overflow" }, methods.ErrBroken},
		"invalid":  {func(_ *testing.T, f *fakeLVM) { f.statusOf = "0 131072 snapshot Invalid" }, methods.ErrBroken},
		"linear":   {func(_ *testing.T, f *fakeLVM) { f.statusOf = "0 131072 linear" }, methods.ErrBroken},
		"inactive": {func(_ *testing.T, f *fakeLVM) { f.volumes["thick"].active = false }, methods.ErrBlocked},
		"store": {func(t *testing.T, f *fakeLVM) {
			f.device(t, "mapper/vg-ds--first--vda-cow", storeWith(1<<20, 77))
		}, methods.ErrBroken},
		"others": {func(t *testing.T, f *fakeLVM) {
			f.volumes["other"] = &fakeVolume{layout: "linear", origin: "thick", size: 6 * cowChunk, data: "0.00"}
			f.device(t, "mapper/vg-other-cow", storeWith(6*cowChunk))
		}, methods.ErrBlocked},
		"others-with-room": {func(t *testing.T, f *fakeLVM) {
			f.volumes["other"] = &fakeVolume{layout: "linear", origin: "thick", size: 8 * cowChunk, data: "0.00"}
			f.device(t, "mapper/vg-other-cow", storeWith(8*cowChunk, 1, 2))
		}, nil},
		"others-lost": {func(_ *testing.T, f *fakeLVM) {
			f.volumes["other"] = &fakeVolume{layout: "linear", origin: "thick", size: cowChunk, invalid: true}
		}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			f, m, req := thickCase(t)
			c.set(t, f)
			err := m.CheckRevert(t.Context(), req)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
			var blocked *methods.Blocked
			if errors.As(err, &blocked) && what == "others" && !strings.Contains(blocked.Hint, "lvextend") {
				t.Errorf("hint %q", blocked.Hint)
			}
		})
	}
}

func TestThickRevertNoRoomToKeep(t *testing.T) {
	_, m, req := thickCase(t)
	keep, err := m.PlanKeep(t.Context(), methods.PlanRequest{Disk: req.Disk, ID: "keep"})
	if err != nil {
		t.Fatal(err)
	}
	keep.Reserve = 4 * cowChunk
	req.Keep = &keep
	if err := m.CheckRevert(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("got %v", err)
	}
}

func TestPlanKeepAddsWhatARevertWrites(t *testing.T) {
	f, m, req := thickCase(t)
	f.volumes["thick"].size = 512 << 20
	first := f.volumes["ds-first-vda"]
	first.size, first.data = 400<<20, "50.00"
	keep, err := m.PlanKeep(t.Context(), methods.PlanRequest{Disk: req.Disk, ID: "keep"})
	if err != nil || keep.Reserve < (200<<20)+(100<<20) {
		t.Errorf("reserve %d, %v", keep.Reserve, err)
	}
}
