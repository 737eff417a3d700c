//go:build lab

package qemu_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// TestLabInternalRevertThatIsKilled kills qemu-img anywhere: the image holds all of the present or all of the snapshot,
// and doing the revert again ends in the snapshot and in an image without faults.
func TestLabInternalRevertThatIsKilled(t *testing.T) {
	r := newInsideRig(t, "web1.qcow2")
	const size = 64 << 20
	r.addDisk("vda", "large.qcow2")
	r.img("resize", "-q", "-f", "qcow2", r.disk("vda").Source.File, fmt.Sprint(size))
	r.io(fmt.Sprintf("write -P 97 0 %d", size))
	ref := r.takeInside("sone")
	snapshot := r.raw(r.hypervisor.active["vda"])
	killed := 0
	for n := range 12 {
		r.io(fmt.Sprintf("write -P %d 0 %d", 98+n, size-n<<16))
		present := r.raw(r.hypervisor.active["vda"])
		if r.killed(time.Duration(n)*8*time.Millisecond, "snapshot", "-a", ref.Name, ref.Origin) {
			killed++
		}
		if now := string(r.raw(r.hypervisor.active["vda"])); now != string(present) && now != string(snapshot) {
			t.Errorf("after kill %d the disk holds neither the present nor the snapshot", n)
		}
		r.revertInside(methods.RevertRequest{To: ref, Disk: r.disk("vda"), Again: true})
		if now := string(r.raw(r.hypervisor.active["vda"])); now != string(snapshot) {
			t.Errorf("after kill %d and another revert the disk holds something else", n)
		}
		r.img("check", "-q", "-f", "qcow2", ref.Origin)
	}
	t.Logf("%d of 12 were killed at work", killed)
	if killed == 0 {
		t.Error("qemu-img was always too quick")
	}
}

// killed runs qemu-img, and kills it after a while, if it still runs.
func (r *insideRig) killed(after time.Duration, args ...string) bool {
	r.t.Helper()
	run := exec.Command("qemu-img", args...)
	if err := run.Start(); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(after)
	// It may have ended by itself.
	_ = run.Process.Kill()
	err := run.Wait()
	var exit *exec.ExitError
	return errors.As(err, &exit) && strings.Contains(exit.Error(), "killed")
}
