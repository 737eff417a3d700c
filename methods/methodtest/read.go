package methodtest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/domsnap/domsnap/methods"
)

// The checks of reading a snapshot.
const (
	OpenMissing       Check = "OpenMissing"
	OpenTwiceAtOnce   Check = "OpenTwiceAtOnce"
	OpenLeavesNoTrace Check = "OpenLeavesNoTrace"
	ReadsAnywhere     Check = "ReadsAnywhere"
	SourceReads       Check = "SourceReads"
)

func readChecks() []check {
	return []check{
		{OpenMissing, always, openMissing},
		{OpenTwiceAtOnce, always, openTwiceAtOnce},
		{OpenLeavesNoTrace, always, openLeavesNoTrace},
		{ReadsAnywhere, always, readsAnywhere},
		{SourceReads, claims("backup source", func(f facts) bool { return f.verbs.Source }), sourceReads},
	}
}

func openMissing(b *bench) {
	s := b.disk("vda")
	s.take("there")
	c, err := b.Method.Open(b.Context(), s.plan("missing"))
	b.wantError("open what is not there", err, methods.ErrNotFound)
	if err == nil {
		b.must("close", c.Close())
	}
}

// openTwiceAtOnce: one reader's Close is not the other's.
func openTwiceAtOnce(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	s.scribble("after")
	first, second := s.open(snap.ref), s.open(snap.ref)
	var group sync.WaitGroup
	contents, errs := make([][]byte, 4), make([]error, 4)
	for i := range contents {
		group.Go(func() { contents[i], errs[i] = readAll([]methods.Content{first, second}[i%2]) })
	}
	group.Wait()
	b.must("read side by side", errors.Join(errs...))
	for _, got := range contents {
		if !bytes.Equal(got, snap.content) {
			b.Errorf("a reader beside others reads something else")
		}
	}
	b.must("close one", first.Close())
	b.wantContent("the other", second, snap.content)
}

func openLeavesNoTrace(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	before := b.objects(s.disk)
	for range 2 {
		b.must("close", s.open(snap.ref).Close())
	}
	s.wantObjects(before...)
	s.wantSnapshots()
	s.wantDisk()
}

func readsAnywhere(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	c, size := s.open(snap.ref), b.suite.Size
	if c.Size() != size {
		b.Errorf("the snapshot has %d bytes, want %d", c.Size(), size)
	}
	for _, at := range []struct{ offset, length int64 }{
		{0, 1}, {1, 511}, {511, 2}, {4095, 4098}, {size/2 - 7, 33}, {size - 1, 1}, {size - 5000, 5000},
		{size - 3, 10}, {size, 1}, {size + 12345, 7},
	} {
		b.wantRead(c, at.offset, at.length, snap.content)
	}
	b.must("close", c.Close())
}

// wantRead wants what io.ReaderAt promises: less than asked for only at the end, with io.EOF.
func (b *bench) wantRead(c methods.Content, offset, length int64, content []byte) {
	b.Helper()
	size := int64(len(content))
	want := content[min(offset, size):min(offset+length, size)]
	got := make([]byte, length)
	n, err := c.ReadAt(got, offset)
	if !bytes.Equal(got[:n], want) {
		b.Errorf("read %d bytes at %d of %d: %d other bytes", length, offset, size, n)
	}
	if short := int64(n) < length; short && !errors.Is(err, io.EOF) || !short && err != nil && !errors.Is(err, io.EOF) {
		b.Errorf("read %d bytes at %d of %d: %d bytes and %v", length, offset, size, n, err)
	}
}

func sourceReads(b *bench) {
	s := b.disk("vda")
	snap := s.take("one")
	s.scribble("after")
	source, err := methods.SourceOf(b.Context(), b.Method, snap.ref)
	b.must("find the backup source", err)
	if !strings.HasPrefix(source.XML, "<source") || source.URI == "" || source.Format != "raw" && source.Format != "qcow2" {
		b.Errorf("the backup source is %+v", source)
	}
	got, readable, err := b.readSource(b.Context(), source)
	b.must("read the backup source", err)
	if at := firstDifference(got, snap.content); readable && at >= 0 {
		b.Errorf("the backup source holds something else, from byte %d on", at)
	}
	s.wantSnapshots()
}
