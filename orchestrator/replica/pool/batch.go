package pool

import (
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// batchSize is how many pieces are written at once.
const batchSize = 16

// batch is pieces of a disk that are written at once.
type batch struct {
	pieces  int
	extents []methods.Extent
	data    []byte
	// holes are whole chunks that are zero.
	holes []methods.Extent
}

// newBatch has the memory for all that it takes: memory that grows is touched, and copied, several times.
func newBatch() *batch { return &batch{data: make([]byte, 0, batchSize*replica.ChunkSize)} }

// add takes a copy of a piece.
func (b *batch) add(p replica.Piece) {
	b.pieces++
	if (p.Sum == replica.Sum{}) {
		b.holes = append(b.holes, methods.Extent{Offset: p.Chunk * replica.ChunkSize, Length: replica.ChunkSize})
		return
	}
	b.extents = append(b.extents, p.Extents...)
	b.data = append(b.data, p.Data...)
}

// write writes it to a disk of this size.
func (b *batch) write(to Writer, size int64) error {
	if err := to.WriteExtents(b.extents, b.data); err != nil {
		return err
	}
	for _, hole := range image.Aligned(b.holes, replica.ChunkSize, size) {
		if err := to.Clear(hole); err != nil {
			return err
		}
	}
	return nil
}

// empty makes it ready for others. The memory stays: to touch fresh memory takes as long as to copy into it.
func (b *batch) empty() *batch {
	*b = batch{extents: b.extents[:0], data: b.data[:0], holes: b.holes[:0]}
	return b
}
