package replica

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// Pending are chunks that were put and not checked yet.
type Pending map[int64]Put

// Put is what became of a chunk.
type Put struct {
	// Sum is that of all of it.
	Sum Sum
	// Whole: it was put as a whole, and has nothing of what was there before.
	Whole bool
}

// Put notes a piece of a disk of this size.
func (p Pending) Put(piece Piece, size int64) {
	at := piece.Chunk * ChunkSize
	p[piece.Chunk] = Put{piece.Sum, piece.Sum == Sum{} || int64(len(piece.Data)) == chunkEnd(piece.Chunk, size)-at}
}

// sampled is of how many chunks one is read again where the storage has checksums of its own.
const sampled = 16

// Sample are the chunks to be read again on a storage that finds by itself what does not stay as it was written: the last, one
// in sixteen of those before it, and all that have something of what was there before, which nobody has sent.
func (p Pending) Sample() Pending {
	sample, chunks := Pending{}, p.Chunks()
	for i, chunk := range chunks {
		if put := p[chunk]; !put.Whole || (len(chunks)-1-i)%sampled == 0 {
			sample[chunk] = put
		}
	}
	return sample
}

// Sums is where the sums of a disk are.
type Sums interface {
	io.ReaderAt
	io.WriterAt
}

// Check reads the chunks again. It fails with ErrDiffers.
func (p Pending) Check(ctx context.Context, data methods.Content) error {
	var extents []methods.Extent
	for _, chunk := range p.Chunks() {
		extents = append(extents, methods.Extent{Offset: chunk * ChunkSize, Length: ChunkSize})
	}
	return CheckChunks(ctx, data, image.Aligned(extents, ChunkSize, data.Size()), func(chunk int64) (Sum, error) { return p[chunk].Sum, nil })
}

// Chunks are those that have a sum here, ascending.
func (p Pending) Chunks() []int64 { return slices.Sorted(maps.Keys(p)) }

// sumsAtOnce is how many sums are written with one call.
const sumsAtOnce = 8192

// Write writes the sums to where those of the disk are: each run of them that lies in one piece of that, with those between.
func (p Pending) Write(to Sums) error {
	chunks := p.Chunks()
	for len(chunks) > 0 {
		piece := chunks[0] / sumsAtOnce
		end := slices.IndexFunc(chunks, func(chunk int64) bool { return chunk/sumsAtOnce != piece })
		if end < 0 {
			end = len(chunks)
		}
		if err := p.write(to, chunks[:end]); err != nil {
			return err
		}
		chunks = chunks[end:]
	}
	return nil
}

func (p Pending) write(to Sums, chunks []int64) error {
	first, count := chunks[0], chunks[len(chunks)-1]-chunks[0]+1
	text := make([]byte, count*SumSize)
	if count > int64(len(chunks)) {
		if n, err := to.ReadAt(text, first*SumSize); n < len(text) {
			return fmt.Errorf("read %d sums from %d: %w", count, first, err)
		}
	}
	for _, chunk := range chunks {
		sum := p[chunk].Sum
		copy(text[(chunk-first)*SumSize:], sum[:])
	}
	if _, err := to.WriteAt(text, first*SumSize); err != nil {
		return fmt.Errorf("write %d sums from %d: %w", count, first, err)
	}
	return nil
}
