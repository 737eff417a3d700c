package qemu_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/domsnap/domsnap/methods"
)

func TestOpenReadsTheSnapshotOfARawImage(t *testing.T) {
	t.Parallel()
	r := newRigAt(t, "web1.raw")
	r.write(0, 'a')
	if _, err := r.Open(t.Context(), r.plan("sone")); !errors.Is(err, methods.ErrNotFound) {
		t.Errorf("before it is taken: %v", err)
	}
	r.take("sone")
	r.write(0, 'b')
	content, err := r.Open(t.Context(), r.snapshot("sone"))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, slot)
	_, err = content.ReadAt(got, 0)
	if err := errors.Join(err, content.Close()); err != nil {
		t.Fatal(err)
	}
	if content.Size() != slot*slots || !bytes.Equal(got, bytes.Repeat([]byte("a"), slot)) {
		t.Errorf("it begins with %q and has %d bytes", got[0], content.Size())
	}
}
