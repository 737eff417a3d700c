package replica

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/orchestrator/export"
)

const (
	// syncMoved and syncRead are what is moved, and read, at most from one sync to the next.
	syncMoved = 64 << 20
	syncRead  = 1 << 30
)

// Sending is one disk to send.
type Sending struct {
	Disk    string
	Content methods.Content
	// Changed, where Partial, are the extents outside of which the disk is what the replica began as.
	Partial  bool
	Changed  []methods.Extent
	Progress methods.Progress
}

// Sent is what that took.
type Sent struct{ Read, Moved int64 }

// Send moves what differs of a disk that is not done yet.
func Send(ctx context.Context, to Inbox, s Sending) (Sent, error) {
	m := to.Manifest()
	d, ok := m.Disk(s.Disk)
	if !ok || d.Size != s.Content.Size() {
		return Sent{}, fmt.Errorf("send disk %s of %d bytes: the replica has no such disk", s.Disk, s.Content.Size())
	}
	w := &sender{Sending: s, to: to, size: d.Size, synced: d.Done}
	whole := []methods.Extent{{Length: d.Size}}
	if !s.Partial {
		w.Changed = whole
	}
	todo := from(image.Aligned(w.Changed, ChunkSize, d.Size), d.Done)
	w.total, w.done = d.Size, d.Size-methods.TotalLength(todo)
	if err := export.Read(ctx, s.Content, todo, func(data []byte, at int64) error { return w.piece(ctx, data, at) }); err != nil {
		return w.Sent, err
	}
	if w.synced == d.Size {
		return w.Sent, nil
	}
	return w.Sent, to.Sync(ctx, s.Disk, d.Size)
}

// from are the extents behind an offset.
func from(extents []methods.Extent, offset int64) []methods.Extent {
	var behind []methods.Extent
	for _, e := range extents {
		if e.End() <= offset {
			continue
		}
		begin := max(e.Offset, offset)
		behind = append(behind, methods.Extent{Offset: begin, Length: e.End() - begin})
	}
	return behind
}

// sender is one Send at work.
type sender struct {
	Sending
	Sent
	to   Inbox
	size int64
	// page are the sums over there from the chunk first on.
	page  []Sum
	first int64
	// done of total bytes need nothing any more; synced is what is safe over there.
	done, total, synced int64
	// moved and read are what was since the last sync.
	moved, read int64
}

// piece looks at what was read, which begins and ends with chunks.
func (s *sender) piece(ctx context.Context, data []byte, at int64) error {
	end := at + int64(len(data))
	for len(data) > 0 {
		n := min(ChunkSize, int64(len(data)))
		if err := s.chunk(ctx, data[:n], at); err != nil {
			return err
		}
		data, at = data[n:], at+n
		s.Read, s.read, s.done = s.Read+n, s.read+n, s.done+n
	}
	s.Progress.Report(s.done, s.total)
	if s.moved < syncMoved && s.read < syncRead {
		return nil
	}
	s.moved, s.read, s.synced = 0, 0, end
	return s.to.Sync(ctx, s.Disk, end)
}

func (s *sender) chunk(ctx context.Context, data []byte, at int64) error {
	p := Piece{Disk: s.Disk, Chunk: at / ChunkSize, Sum: SumOf(data)}
	there, err := s.sum(ctx, p.Chunk)
	if err != nil || there == p.Sum {
		return err
	}
	if (p.Sum != Sum{}) {
		p.Extents = s.changedIn(methods.Extent{Offset: at, Length: int64(len(data))})
		p.Data = joined(p.Extents, data, at)
	}
	n := int64(len(p.Data))
	s.Moved, s.moved = s.Moved+n, s.moved+n
	return s.to.Put(ctx, p)
}

// joined are the extents' parts, in one, of data that begin at an offset of the disk.
func joined(extents []methods.Extent, data []byte, at int64) (parts []byte) {
	if len(extents) == 1 {
		return data[extents[0].Offset-at : extents[0].End()-at]
	}
	for _, e := range extents {
		parts = append(parts, data[e.Offset-at:e.End()-at]...)
	}
	return parts
}

// sum is that of a chunk over there.
func (s *sender) sum(ctx context.Context, chunk int64) (Sum, error) {
	if chunk < s.first || chunk >= s.first+int64(len(s.page)) {
		page, err := s.to.Sums(ctx, SumsRequest{Disk: s.Disk, First: chunk, Count: MaxSums})
		if err != nil {
			return Sum{}, err
		}
		if len(page) == 0 {
			return Sum{}, fmt.Errorf("read the sum of chunk %d: there is none", chunk)
		}
		s.page, s.first = page, chunk
	}
	return s.page[chunk-s.first], nil
}

// changedIn are the parts of a chunk that may differ. It is asked with ascending chunks.
func (s *sender) changedIn(chunk methods.Extent) []methods.Extent {
	for len(s.Changed) > 0 && s.Changed[0].End() <= chunk.Offset {
		s.Changed = s.Changed[1:]
	}
	var parts []methods.Extent
	for _, e := range s.Changed {
		begin, end := max(e.Offset, chunk.Offset), min(e.End(), chunk.End())
		if begin >= end {
			break
		}
		parts = append(parts, methods.Extent{Offset: begin, Length: end - begin})
	}
	return parts
}
