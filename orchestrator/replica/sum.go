package replica

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

const (
	// ChunkSize is what has a sum of its own.
	ChunkSize = 64 << 10
	// SumSize is that of a sum, in bytes.
	SumSize = sha256.Size
	// MaxSums is how many sums one request gives at most.
	MaxSums = 4096
)

// Sum is the SHA-256 of a chunk, or all zero where that is all zero.
type Sum [SumSize]byte

var zeroChunk [ChunkSize]byte

// SumOf is the sum of a chunk.
func SumOf(chunk []byte) Sum {
	if len(chunk) <= ChunkSize && bytes.Equal(chunk, zeroChunk[:len(chunk)]) {
		return Sum{}
	}
	return sha256.Sum256(chunk)
}

// Chunks is how many a disk has.
func Chunks(size int64) int64 { return (size + ChunkSize - 1) / ChunkSize }

// chunkEnd is where a chunk of a disk ends.
func chunkEnd(chunk, size int64) int64 { return min((chunk+1)*ChunkSize, size) }

func readSums(from io.ReaderAt, first, count int64) ([]Sum, error) {
	text := make([]byte, count*SumSize)
	if n, err := from.ReadAt(text, first*SumSize); n < len(text) {
		return nil, fmt.Errorf("read %d sums from %d: %w", count, first, err)
	}
	sums := make([]Sum, count)
	for i := range sums {
		copy(sums[i][:], text[i*SumSize:])
	}
	return sums, nil
}

// RootOf is the sum of all sums of a disk of this size.
func RootOf(sums io.ReaderAt, size int64) (string, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(h, io.NewSectionReader(sums, 0, Chunks(size)*SumSize), make([]byte, MaxSums*SumSize))
	if err == nil && n != Chunks(size)*SumSize {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", fmt.Errorf("read the sums: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
