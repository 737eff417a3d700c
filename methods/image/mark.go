package image

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

const (
	// mark is the name of the bitmap, and MarkContext what readers ask for to have it.
	mark        = "changes"
	MarkContext = "qemu:dirty-bitmap:" + mark
	// markGrain is what a bit stands for.
	markGrain = 64 << 10
	// mostDiscard is less than QEMU takes in one request, mostDiscards are what fits into one argument list.
	mostDiscard  = 1 << 30
	mostDiscards = 4096

	qemuIO = "qemu-io"
)

// mark puts an empty overlay on the image, which has a bitmap. A discard of what an image does not have changes nothing but
// the bits.
func (e Export) mark(ctx context.Context, node map[string]any) (map[string]any, error) {
	if command.Missing(qemuIO) != "" {
		return nil, methods.Unsupportedf("%s is missing: install qemu-utils", qemuIO)
	}
	// A name that begins with a slash is no option and no protocol.
	path, err := filepath.Abs(filepath.Join(e.Work, "changes.qcow2"))
	if err != nil {
		return nil, err
	}
	run := command.Host{}
	for _, args := range [][]string{
		// Large clusters, so that few tables are needed.
		{"create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", path, fmt.Sprint(e.Size)},
		{"bitmap", "-f", "qcow2", "--add", "-g", fmt.Sprint(markGrain), path, mark},
	} {
		if _, err := run.Run(ctx, "qemu-img", args...); err != nil {
			return nil, fmt.Errorf("make a list of the changes: %w", err)
		}
	}
	discards := discardsOf(Aligned(e.Changed, markGrain, e.Size))
	for len(discards) > 0 {
		n := min(len(discards), mostDiscards)
		args := append([]string{"-d", "unmap", "-f", "qcow2"}, discards[:n]...)
		if _, err := run.Run(ctx, qemuIO, append(args, path)...); err != nil {
			return nil, fmt.Errorf("make a list of the changes: %w", err)
		}
		discards = discards[n:]
	}
	return map[string]any{"driver": "qcow2", "file": local(path), "backing": node}, nil
}

// discardsOf are arguments for qemu-io, two each.
func discardsOf(extents []methods.Extent) []string {
	var args []string
	for _, e := range extents {
		for e.Length > 0 {
			length := min(e.Length, mostDiscard)
			args = append(args, "-c", fmt.Sprintf("discard -q %d %d", e.Offset, length))
			e.Offset, e.Length = e.Offset+length, e.Length-length
		}
	}
	return args
}

// Aligned are the extents, ascending, made larger until they begin and end on the grain, or with the disk, and joined where
// they meet then.
func Aligned(extents []methods.Extent, grain, size int64) []methods.Extent {
	var aligned []methods.Extent
	for _, e := range extents {
		begin, end := e.Offset/grain*grain, min((e.End()+grain-1)/grain*grain, size)
		last := len(aligned) - 1
		if last >= 0 && begin <= aligned[last].End() {
			aligned[last].Length = max(end, aligned[last].End()) - aligned[last].Offset
			continue
		}
		if begin < end {
			aligned = append(aligned, methods.Extent{Offset: begin, Length: end - begin})
		}
	}
	return aligned
}
