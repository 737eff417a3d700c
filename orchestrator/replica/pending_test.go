package replica_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// TestSample: what is made of what was sent and what was there is read again always.
func TestSample(t *testing.T) {
	const size = 100*replica.ChunkSize - 7
	p := replica.Pending{}
	for chunk := int64(0); chunk < 100; chunk += 2 {
		p.Put(piece(chunk, replica.ChunkSize), size)
	}
	p.Put(piece(8, 512), size)
	p.Put(replica.Piece{Chunk: 10}, size)
	p.Put(piece(99, replica.ChunkSize-7), size)
	got := p.Sample()
	if diff := cmp.Diff([]int64{4, 8, 36, 68, 99}, got.Chunks()); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(p.Chunks(), 10) || len(p) != 51 {
		t.Errorf("left are %d", len(p))
	}
}

func piece(chunk, n int64) replica.Piece {
	at := chunk * replica.ChunkSize
	return replica.Piece{Chunk: chunk, Sum: replica.Sum{1}, Extents: []methods.Extent{{Offset: at, Length: n}}, Data: make([]byte, n)}
}
