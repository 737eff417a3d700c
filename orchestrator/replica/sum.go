package replica

import (
	"bytes"
	"crypto/sha256"
)

const (
	// ChunkSize is what has a sum of its own.
	ChunkSize = 64 << 10
	sumSize   = sha256.Size
	// MaxSums is how many sums one request gives at most.
	MaxSums = 4096
)

// Sum is the SHA-256 of a chunk, or all zero where that is all zero.
type Sum [sumSize]byte

var zeroChunk [ChunkSize]byte

// SumOf is the sum of a chunk.
func SumOf(chunk []byte) Sum {
	if len(chunk) <= ChunkSize && bytes.Equal(chunk, zeroChunk[:len(chunk)]) {
		return Sum{}
	}
	return sha256.Sum256(chunk)
}

// chunks is how many a disk has.
func chunks(size int64) int64 { return (size + ChunkSize - 1) / ChunkSize }

// chunkEnd is where a chunk of a disk ends.
func chunkEnd(chunk, size int64) int64 { return min((chunk+1)*ChunkSize, size) }
