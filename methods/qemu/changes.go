package qemu

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/domsnap/domsnap/methods"
)

// Changes implements methods.Differ. Both states are chains of images. Below the first image that they share both hold
// the same; above it, what either side has allocated may differ, be it data, zeroes or a discard.
func (m *Method) Changes(ctx context.Context, req methods.ChangesRequest) ([]methods.Extent, error) {
	if err := recordedAll(req.From, req.To); err != nil {
		return nil, err
	}
	if req.From.Name == req.Disk.Source.Path() {
		return nil, untaken(req.From)
	}
	from, err := m.existing(ctx, Image{req.From.Name, req.From.Disk.Format})
	if err != nil {
		return nil, err
	}
	to, err := m.existing(ctx, otherSide(req))
	if err != nil {
		return nil, err
	}
	if from[0].Size != to[0].Size {
		return nil, methods.Blockedf("%s has %d bytes and %s has %d", from[0].Path, from[0].Size, to[0].Path, to[0].Size)
	}
	shared := firstShared(from, to)
	if shared == "" {
		return nil, methods.Unsupportedf("%s and %s have no image in common", from[0].Path, to[0].Path)
	}
	var all []methods.Extent
	for _, side := range [][]layer{from, to} {
		above, err := m.images.allocatedAbove(ctx, side, shared)
		if err != nil {
			return nil, err
		}
		all = append(all, above...)
	}
	return merged(all), nil
}

func otherSide(req methods.ChangesRequest) Image {
	if req.To != nil {
		return Image{req.To.Name, req.To.Disk.Format}
	}
	return Image{req.Disk.Source.Path(), req.Disk.Format}
}

// existing is the chain of an image that has to be there.
func (m *Method) existing(ctx context.Context, img Image) ([]layer, error) {
	if _, err := os.Stat(img.Path); err != nil {
		return nil, fmt.Errorf("find image %s: %w", img.Path, notFound(err))
	}
	return m.images.chain(ctx, img)
}

// firstShared is the topmost image that is in both chains, or empty.
func firstShared(a, b []layer) string {
	for _, l := range a {
		if contains(b, l.Path) {
			return l.Path
		}
	}
	return ""
}

// allocatedAbove lists what the images of the chain above the given one have allocated.
func (i images) allocatedAbove(ctx context.Context, chain []layer, path string) ([]methods.Extent, error) {
	depth := slices.IndexFunc(chain, func(l layer) bool { return l.Path == path })
	if depth == 0 {
		return nil, nil
	}
	mapped, err := i.mapped(ctx, chain[0])
	if err != nil {
		return nil, err
	}
	return above(mapped, depth), nil
}

// above are the extents that come from images so many steps down, or less.
func above(mapped []mappedExtent, depth int) []methods.Extent {
	var found []methods.Extent
	for _, e := range mapped {
		if e.Depth < depth {
			found = append(found, methods.Extent{Offset: e.Start, Length: e.Length})
		}
	}
	return found
}

// mappedExtent is what is read of qemu-img map: Depth is how many images down the first one is that says what the
// extent holds. One that says zero counts, allocated or discarded. Present says that one does, Data that it has a content.
type mappedExtent struct {
	Start   int64 `json:"start"`
	Length  int64 `json:"length"`
	Depth   int   `json:"depth"`
	Present bool  `json:"present"`
	Data    bool  `json:"data"`
}

// mapped reads which image of a chain each extent comes from; the images may be in use.
func (i images) mapped(ctx context.Context, img layer) ([]mappedExtent, error) {
	path, err := img.safe()
	if err != nil {
		return nil, err
	}
	out, err := i.run.Run(ctx, qemuImg, "map", "--output=json", "-U", "-f", img.Format, path)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", img.Path, err)
	}
	mapped, err := parseMap(out, img.Size)
	if err != nil {
		return nil, fmt.Errorf("read map of %s: %w", img.Path, err)
	}
	return mapped, nil
}

// parseMap wants extents of the image, of size bytes, and nothing else.
func parseMap(out []byte, size int64) ([]mappedExtent, error) {
	var mapped []mappedExtent
	if err := json.Unmarshal(out, &mapped); err != nil {
		return nil, err
	}
	for _, e := range mapped {
		if e.Start < 0 || e.Length <= 0 || e.Start > size-e.Length || e.Depth < 0 {
			return nil, fmt.Errorf("%+v is not in an image of %d bytes", e, size)
		}
	}
	return mapped, nil
}

// merged sorts extents and joins those that overlap or touch.
func merged(extents []methods.Extent) []methods.Extent {
	slices.SortFunc(extents, func(a, b methods.Extent) int { return cmp.Compare(a.Offset, b.Offset) })
	var apart []methods.Extent
	for _, e := range extents {
		last := len(apart) - 1
		if last < 0 || e.Offset > apart[last].End() {
			apart = append(apart, e)
			continue
		}
		apart[last].Length = max(apart[last].End(), e.End()) - apart[last].Offset
	}
	return apart
}
