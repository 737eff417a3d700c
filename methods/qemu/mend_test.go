package qemu_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

// leak has the image count a cluster that nobody uses, as a qemu-img does that is killed between the two. The counts of an
// image as small as this are in one block, which the table of counts names.
func (r *rig) leak(path string) {
	r.t.Helper()
	if got := r.check(path); got != 0 {
		r.t.Fatalf("the image has faults already: %d", got)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		r.t.Fatal(err)
	}
	const cluster, tableAt = 64 << 10, 48
	last := (info.Size() + cluster - 1) / cluster
	block := be64(r.t, f, int64(be64(r.t, f, tableAt)))
	if _, err := f.WriteAt([]byte{0, 1}, int64(block)+2*last); err != nil {
		r.t.Fatal(err)
	}
	if err := f.Truncate((last + 1) * cluster); err != nil {
		r.t.Fatal(err)
	}
	if got := r.check(path); got != 3 {
		r.t.Fatalf("nothing has leaked: %d", got)
	}
}

func be64(t *testing.T, f *os.File, at int64) uint64 {
	t.Helper()
	var b [8]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint64(b[:])
}

// check is what qemu-img check says: 2 for wrong counts, 3 for a leak.
func (r *rig) check(path string) int {
	r.t.Helper()
	err := exec.CommandContext(r.t.Context(), "qemu-img", "check", "-q", "-U", "-f", "qcow2", path).Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if err == nil {
		return 0
	}
	return exit.ExitCode()
}

func TestInternalDropAfterAnInterruptionMendsTheImage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		again bool
		stage methods.Stage
		set   func(*insideRig)
		want  int
	}{
		"a drop again":                      {again: true},
		"a take that nobody saw the end of": {stage: methods.Abandoned},
		"a take that was not begun":         {stage: methods.Readied, want: 3},
		"a first drop":                      {want: 3},
		"an image that is below another": {again: true, want: 3, set: func(r *insideRig) {
			r.take("stwo")
			r.running = true
		}},
		"an image that QEMU writes to": {again: true, want: 3, set: func(r *insideRig) { r.running = true }},
	} {
		for _, there := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, the snapshot is there: %t", name, there), func(t *testing.T) {
				r := newInsideRig(t, "web1.qcow2")
				r.write(0, 'a')
				ref := r.takeInside("sone")
				if !there {
					r.img("snapshot", "-d", ref.Name, ref.Origin)
				}
				r.leak(ref.Origin)
				if c.set != nil {
					c.set(r)
				}
				req := methods.DropRequest{Ref: ref, Disk: r.disk("vda"), Again: c.again, Stage: c.stage}
				err := r.inside.Drop(t.Context(), req)
				if err != nil && !errors.Is(err, methods.ErrBlocked) {
					t.Error(err)
				}
				if got := r.check(ref.Origin); got != c.want {
					t.Errorf("the check says %d, want %d", got, c.want)
				}
				r.wantPresent("a...")
			})
		}
	}
}
