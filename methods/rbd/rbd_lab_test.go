//go:build lab && rbd

package rbd

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

func TestLabTakeStatDrop(t *testing.T) {
	b := newBench(t, 64*mebibyte)
	b.write(1, 8*mebibyte)
	ref := b.take("aaaa")
	b.nobody()
	if _, err := b.method.Plan(t.Context(), methods.PlanRequest{Disk: b.disk, ID: "aaaa"}); !errors.Is(err, methods.ErrExists) {
		t.Fatalf("plan again: %v", err)
	}
	if err := b.method.Take(t.Context(), ref); !errors.Is(err, methods.ErrExists) {
		t.Fatalf("take again: %v", err)
	}
	b.wantUsed(ref, 0)
	b.write(2, 32*mebibyte)
	b.wantUsed(ref, 8*mebibyte)
	must(t, b.method.Drop(t.Context(), methods.DropRequest{Ref: ref}))
	must(t, b.method.Drop(t.Context(), methods.DropRequest{Ref: ref}))
	if _, err := b.method.Stat(t.Context(), ref); !errors.Is(err, methods.ErrNotFound) {
		t.Fatalf("stat after drop: %v", err)
	}
}

func (b *bench) wantUsed(ref methods.Ref, want int64) {
	b.t.Helper()
	info, err := b.method.Stat(b.t.Context(), ref)
	must(b.t, err)
	if info.BytesUsed != want {
		b.t.Fatalf("%d bytes used, want %d", info.BytesUsed, want)
	}
}

func TestLabSnapshotDoesNotChange(t *testing.T) {
	b := newBench(t, 64*mebibyte)
	b.write(1, 8*mebibyte)
	before := b.sum("")
	b.take("aaaa")
	b.write(2, 4*mebibyte)
	if b.sum("ds-aaaa-vda") != before {
		t.Fatal("the snapshot changed")
	}
}

func TestLabRevertBackAndForth(t *testing.T) {
	b := newBench(t, 64*mebibyte)
	b.write(1, 8*mebibyte)
	older, olderSum := b.take("aaaa"), b.sum("")
	b.write(2, 4*mebibyte)
	younger, youngerSum := b.take("bbbb"), b.sum("")
	b.write(3, 16*mebibyte)
	for _, step := range []struct {
		to   methods.Ref
		want [sha256.Size]byte
	}{{older, olderSum}, {older, olderSum}, {younger, youngerSum}, {older, olderSum}} {
		b.revert(step.to)
		if b.sum("") != step.want {
			t.Fatalf("the image is not as it was at %s", step.to.Name)
		}
		if b.sum("ds-aaaa-vda") != olderSum || b.sum("ds-bbbb-vda") != youngerSum {
			t.Fatal("a snapshot changed")
		}
		b.nobody()
	}
}

func TestLabRevertNeedsTheImageClosed(t *testing.T) {
	b := newBench(t, 16*mebibyte)
	ref := b.take("aaaa")
	req := methods.RevertRequest{To: ref, Disk: b.disk}
	b.open(func(*rbd.Image) {
		if err := b.method.CheckRevert(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
			t.Errorf("check: %v", err)
		}
		if _, err := b.method.Revert(t.Context(), req); !errors.Is(err, methods.ErrBlocked) {
			t.Errorf("revert: %v", err)
		}
	})
}

func TestLabRevertNeedsTheSameSize(t *testing.T) {
	b := newBench(t, 16*mebibyte)
	ref := b.take("aaaa")
	b.open(func(image *rbd.Image) { must(t, image.Resize(32*mebibyte)) })
	err := b.method.CheckRevert(t.Context(), methods.RevertRequest{To: ref, Disk: b.disk})
	if !errors.Is(err, methods.ErrBlocked) {
		t.Fatal(err)
	}
}

func TestLabLockBlocks(t *testing.T) {
	b := newBench(t, 16*mebibyte)
	b.open(func(image *rbd.Image) {
		must(t, image.LockExclusive("mine"))
		_, err := b.method.Plan(t.Context(), methods.PlanRequest{Disk: b.disk, ID: "aaaa"})
		if !errors.Is(err, methods.ErrBlocked) {
			t.Error(err)
		}
		must(t, image.Unlock("mine"))
	})
}

func TestLabOwnerMakesTheSnapshot(t *testing.T) {
	b := newBench(t, 16*mebibyte)
	b.open(func(image *rbd.Image) {
		fill(t, image, 1, mebibyte)
		b.take("aaaa")
		if owner, err := image.LockIsExclusiveOwner(); err != nil || !owner {
			t.Errorf("the owner lost its lock: %v", err)
		}
	})
}

func TestLabClonesBlockDrop(t *testing.T) {
	b := newBench(t, 16*mebibyte)
	ref := b.take("aaaa")
	b.open(func(image *rbd.Image) {
		snap := image.GetSnapshot("ds-aaaa-vda")
		must(t, snap.Protect())
		b.wantDropBlocked(ref, "protected")
		options := rbd.NewRbdImageOptions()
		defer options.Destroy()
		clone := image.GetName() + "-clone"
		must(t, rbd.CloneImage(b.conn.ioctx, image.GetName(), "ds-aaaa-vda", b.conn.ioctx, clone, options))
		b.wantDropBlocked(ref, clone)
		must(t, rbd.RemoveImage(b.conn.ioctx, clone))
		must(t, snap.Unprotect())
	})
	must(t, b.method.Drop(t.Context(), methods.DropRequest{Ref: ref}))
}

func (b *bench) wantDropBlocked(ref methods.Ref, why string) {
	b.t.Helper()
	err := b.method.Drop(b.t.Context(), methods.DropRequest{Ref: ref})
	if !errors.Is(err, methods.ErrBlocked) || !strings.Contains(err.Error(), why) {
		b.t.Errorf("drop: %v", err)
	}
}

func TestLabMissingPlaces(t *testing.T) {
	b := newBench(t, mebibyte)
	for _, image := range []methods.RBDImage{
		{Pool: "no-such-pool", Image: "a"},
		{Pool: "rbd", Image: "no-such-image"},
		{Pool: "rbd", Namespace: "none", Image: "a"},
	} {
		disk := methods.Disk{Target: "vda", Source: methods.Source{RBD: &image}}
		_, err := b.method.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: "aaaa"})
		if !errors.Is(err, methods.ErrNotFound) {
			t.Errorf("%s: %v", image, err)
		}
	}
}

func TestLabMissingConfigurationIsNotAMissingSnapshot(t *testing.T) {
	b := newBench(t, mebibyte)
	ref := b.take("aaaa")
	ref.Disk.Source.RBD = &methods.RBDImage{Config: "/nonexistent/ceph.conf"}
	err := b.method.Drop(t.Context(), methods.DropRequest{Ref: ref})
	if err == nil || errors.Is(err, methods.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestLabUnreachableClusterIsBounded(t *testing.T) {
	b := newBench(t, mebibyte)
	// Nothing listens on port 9: the monitors are refused there.
	image := methods.RBDImage{Pool: "rbd", Image: "a", Monitors: []string{"127.0.0.1:9"}}
	disk := methods.Disk{Target: "vda", Source: methods.Source{RBD: &image}}
	start := time.Now()
	_, err := b.method.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: "aaaa"})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:9") {
		t.Errorf("plan: %v", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start = time.Now()
	if _, err = b.method.Plan(ctx, methods.PlanRequest{Disk: disk, ID: "aaaa"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("plan with a deadline: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v past its deadline", took)
	}
}

func TestLabEnvironmentDoesNotSteer(t *testing.T) {
	t.Setenv("CEPH_ARGS", "--mon-host=127.0.0.1:9 --id=nobody")
	t.Setenv("CEPH_CONF", "/nonexistent")
	b := newBench(t, mebibyte)
	b.take("aaaa")
}
