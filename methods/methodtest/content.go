package methodtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"

	"github.com/domsnap/domsnap/methods"
)

// sector is what writes are aligned to, so that a disk can be opened in any way.
const sector = 4096

// pattern is the content of a new disk: noise, then a quarter of zeros, then noise.
func pattern(seed string, size int64) []byte {
	p := noise(seed, size)
	clear(p[size/2 : size*3/4])
	return p
}

func noise(seed string, size int64) []byte {
	h := fnv.New64a()
	_, _ = h.Write([]byte(seed))
	r := rand.New(rand.NewPCG(h.Sum64(), uint64(size)))
	p := make([]byte, 0, size)
	for int64(len(p)) < size {
		p = binary.NativeEndian.AppendUint64(p, r.Uint64())
	}
	return p
}

// scribble writes to the disk as the guest would: at its beginning, into its zeros, and at its end.
func (s *subject) scribble(seed string) {
	s.Helper()
	size := int64(len(s.content))
	middle := size / 2 / sector * sector
	s.write(noise(seed+"0", sector), 0)
	s.write(noise(seed+"1", 2*sector), middle)
	s.write(noise(seed+"2", sector), size-sector)
}

func (s *subject) write(p []byte, offset int64) {
	s.Helper()
	if s.Write != nil {
		s.Write(s, s.disk, p, offset)
	} else {
		s.must("write the disk", s.overwrite(p, offset))
	}
	copy(s.content[offset:], p)
}

func (s *subject) overwrite(p []byte, offset int64) error {
	d, err := s.Disks.OpenDisk(s.Context(), s.disk)
	if err != nil {
		return err
	}
	_, err = d.WriteAt(p, offset)
	return errors.Join(err, d.Sync(), d.Close())
}

// wantDisk wants the disk to hold what the guest wrote, or what a revert brought back.
func (s *subject) wantDisk() {
	s.Helper()
	d, err := s.Disks.OpenDisk(s.background(), s.disk)
	s.must("open disk "+s.disk.Target, err)
	s.wantContent("disk "+s.disk.Target, d, s.content)
}

// wantSnapshots wants every snapshot to hold what the disk held when it was taken.
func (s *subject) wantSnapshots() {
	s.Helper()
	for _, snap := range s.taken {
		c := s.open(snap.ref)
		s.wantContent("snapshot "+snap.ref.Name, c, snap.content)
	}
}

func (s *subject) open(ref methods.Ref) methods.Content {
	s.Helper()
	c, err := s.Method.Open(s.background(), ref)
	s.must("open snapshot "+ref.Name, err)
	return c
}

// wantContent reads everything and closes it.
func (b *bench) wantContent(what string, c methods.Content, want []byte) {
	b.Helper()
	got, err := readAll(c)
	b.must("read "+what, errors.Join(err, c.Close()))
	if at := firstDifference(got, want); at >= 0 {
		b.Errorf("%s (%d bytes) is not what it has to be (%d bytes), from byte %d on", what, len(got), len(want), at)
	}
}

func readAll(c methods.Content) ([]byte, error) {
	all := make([]byte, c.Size())
	_, err := io.ReadFull(io.NewSectionReader(c, 0, c.Size()), all)
	return all, err
}

// firstDifference is -1 for what is the same.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// readSource reads a backup source in place. The second answer is false for what is not a raw file or device.
func (b *bench) readSource(ctx context.Context, source methods.BackupSource) ([]byte, bool, error) {
	if b.OpenSource != nil {
		c, err := b.OpenSource(ctx, source)
		if err != nil {
			return nil, false, err
		}
		all, err := readAll(c)
		return all, true, errors.Join(err, c.Close())
	}
	if source.Format != "raw" || source.URI == "" || source.URI[0] != '/' {
		return nil, false, nil
	}
	all, err := os.ReadFile(source.URI)
	if err != nil {
		err = fmt.Errorf("read the source %s: %w", source.URI, err)
	}
	return all, true, err
}
