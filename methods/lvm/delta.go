package lvm

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

const (
	// mostExtents is how long a list of changes may be. Beyond that reading everything is no worse.
	mostExtents = 1 << 22
	// A pool's blocks have 64 KiB to 1 GiB, in steps of 64 KiB.
	minBlockSectors, maxBlockSectors = 128, 2097152
)

// delta reads what thin_delta prints:
//
//	<superblock data_block_size="128" …>
//	  <diff left="1" right="2">
//	    <same begin="0" length="3"/>
//	    <different begin="3" length="1"/> …
//
// and left_only, right_only for what one side has no block for. Blocks that neither has are not named. Output that is
// not so, or that ends early, is ErrUnsupported: a change must not be missed.
type delta struct {
	// left and right are the numbers of the volumes.
	left, right string
	// size is that of the disk in bytes.
	size int64
	// most is how many extents there may be.
	most int
	// block is in bytes, 0 before it is known.
	block uint64
	// next is the first block that nothing is said of yet.
	next  uint64
	path  []string
	diffs int
	found []methods.Extent
}

func (d delta) read(text io.Reader) ([]methods.Extent, error) {
	decoder := xml.NewDecoder(text)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = d.take(token)
		}
		if err != nil {
			return nil, fmt.Errorf("read the output of %s: %w: %w", thinDelta, err, methods.ErrUnsupported)
		}
	}
	if d.diffs != 1 {
		return nil, methods.Unsupportedf("the output of %s has %d lists of differences", thinDelta, d.diffs)
	}
	return append([]methods.Extent{}, d.found...), nil
}

func (d *delta) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		err := d.begin(t)
		d.path = append(d.path, t.Name.Local)
		return err
	case xml.EndElement:
		d.path = d.path[:len(d.path)-1]
	case xml.CharData:
		if text := strings.TrimSpace(string(t)); text != "" {
			return fmt.Errorf("it has the text %.40q", text)
		}
	case xml.Directive:
		return errors.New("it has a directive")
	}
	return nil
}

func (d *delta) begin(e xml.StartElement) error {
	at := strings.Join(append(slices.Clone(d.path), e.Name.Local), "/")
	switch at {
	case "superblock":
		return d.readBlockSize(e)
	case "superblock/diff":
		d.diffs++
		if left, right := attribute(e, "left"), attribute(e, "right"); left != d.left || right != d.right {
			return fmt.Errorf("it compares %q with %q, not %s with %s", left, right, d.left, d.right)
		}
		return nil
	case "superblock/diff/same":
		_, err := d.piece(e)
		return err
	case "superblock/diff/different", "superblock/diff/left_only", "superblock/diff/right_only":
		begin, err := d.piece(e)
		if err != nil {
			return err
		}
		return d.add(begin)
	}
	return fmt.Errorf("it has an element %.80q", at)
}

func (d *delta) readBlockSize(e xml.StartElement) error {
	text := attribute(e, "data_block_size")
	sectors, err := strconv.ParseUint(text, 10, 64)
	if err != nil || d.block != 0 || sectors < minBlockSectors || sectors > maxBlockSectors || sectors%minBlockSectors != 0 {
		return fmt.Errorf("its blocks have %q sectors", text)
	}
	d.block = sectors * sectorBytes
	return nil
}

// piece reads a range of blocks, which begins at the answer and ends at next.
func (d *delta) piece(e xml.StartElement) (begin uint64, err error) {
	begin, errBegin := strconv.ParseUint(attribute(e, "begin"), 10, 64)
	length, errLength := strconv.ParseUint(attribute(e, "length"), 10, 64)
	if err := errors.Join(errBegin, errLength); err != nil {
		return 0, err
	}
	if begin < d.next || length == 0 || begin+length < begin {
		return 0, fmt.Errorf("%d blocks at %d come after those up to %d", length, begin, d.next)
	}
	d.next = begin + length
	return begin, nil
}

// add lists a range as far as it is within the disk: a volume keeps blocks that it was once large enough for.
func (d *delta) add(begin uint64) error {
	blocks := (uint64(d.size) + d.block - 1) / d.block
	first, end := min(begin, blocks), min(d.next, blocks)
	d.found = extended(d.found, int64(first*d.block), min(int64(end*d.block), d.size))
	if len(d.found) > d.most {
		return fmt.Errorf("it has more than %d extents", d.most)
	}
	return nil
}

// attribute is empty where there is none.
func attribute(e xml.StartElement, key string) string {
	for _, a := range e.Attr {
		if a.Name.Local == key {
			return a.Value
		}
	}
	return ""
}
