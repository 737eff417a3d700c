package lvm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func testDevice(t *testing.T, fill byte, size int) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(path, slices.Repeat([]byte{fill}, size), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestCopierWritesOnlyTheChunks(t *testing.T) {
	const size = 5<<20 + 10
	from, to := testDevice(t, 'a', size), testDevice(t, 'b', size)
	var last, total int64
	c := copier{from: from, to: to, size: size, chunk: 4096, progress: func(d, n int64) { last, total = d, n }}
	chunks := []int64{0}
	for n := int64(256); n <= size/4096; n++ {
		chunks = append(chunks, n)
	}
	written, err := c.run(t.Context(), chunks)
	want := int64(4096 + size - 256*4096)
	if err != nil || written != want || last != want || total != want {
		t.Errorf("wrote %d, %v; progress %d of %d; want %d", written, err, last, total, want)
	}
	got, _ := os.ReadFile(to.Name())
	for i, b := range got {
		if inside := i < 4096 || i >= 256*4096; inside != (b == 'a') {
			t.Fatalf("byte %d is %c", i, b)
		}
	}
}

func TestCopierStops(t *testing.T) {
	from, to := testDevice(t, 'a', 8192), testDevice(t, 'b', 8192)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := copier{from: from, to: to, size: 8192, chunk: 4096}
	if written, err := c.run(ctx, []int64{0, 1}); !errors.Is(err, context.Canceled) || written != 0 {
		t.Errorf("cancelled: %d, %v", written, err)
	}
	c = copier{from: testDevice(t, 'a', 100), to: to, size: 8192, chunk: 4096}
	if _, err := c.run(t.Context(), []int64{0, 1}); err == nil {
		t.Error("short snapshot: no error")
	}
}
