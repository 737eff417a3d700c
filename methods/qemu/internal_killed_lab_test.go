//go:build lab

package qemu_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// TestLabInternalTakeAndDropThatAreKilled kills qemu-img anywhere: afterwards a drop leaves neither the snapshot nor a fault.
func TestLabInternalTakeAndDropThatAreKilled(t *testing.T) {
	const size = 16 << 20
	for name, c := range map[string]struct {
		// begin is what comes before the act that is killed.
		begin func(*insideRig) methods.Ref
		act   string
		drop  methods.DropRequest
	}{
		"take": {func(r *insideRig) methods.Ref { return r.planInside("vda", "sone") }, "-c", methods.DropRequest{Stage: methods.Abandoned}},
		"drop": {func(r *insideRig) methods.Ref { return r.takeInside("sone") }, "-d", methods.DropRequest{Again: true}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newInsideRig(t, "web1.qcow2")
			// Small clusters make much to count.
			r.img("create", "-q", "-f", "qcow2", "-o", "cluster_size=512", r.disk("vda").Source.File, fmt.Sprint(size))
			r.io(fmt.Sprintf("write -P 97 0 %d", size))
			present, killed, faulty := string(r.raw(r.hypervisor.active["vda"])), 0, 0
			for n := range 12 {
				ref := c.begin(r)
				if r.killed(time.Duration(n)*5*time.Millisecond, "snapshot", c.act, ref.Name, ref.Origin) {
					killed++
				}
				if r.check(ref.Origin) != 0 {
					faulty++
				}
				req := c.drop
				req.Ref, req.Disk = ref, r.disk("vda")
				if err := r.inside.Drop(t.Context(), req); err != nil {
					t.Fatal(err)
				}
				r.wantInside()
				if got := r.check(ref.Origin); got != 0 {
					t.Errorf("after kill %d the check says %d", n, got)
				}
				if now := string(r.raw(r.hypervisor.active["vda"])); now != present {
					t.Errorf("after kill %d the disk holds something else", n)
				}
			}
			t.Logf("%d of 12 were killed at work, %d images had faults", killed, faulty)
			if faulty == 0 {
				t.Error("no kill left a fault")
			}
		})
	}
}
