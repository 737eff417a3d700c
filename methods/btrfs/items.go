package btrfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	treeSearch = ioctlRead | ioctlWrite | treeSearchSize<<16 | 0x94<<8 | 17

	// treeSearchSize is that of struct btrfs_ioctl_search_args_v2, without the answer.
	treeSearchSize   = 112
	treeSearchAnswer = 64 << 10
	searchHeaderSize = 32

	// extentDataKey is the type of the items that hold a file's extents.
	extentDataKey = 108

	itemInline   = 0
	itemRegular  = 1
	itemPrealloc = 2
)

// treeSearchArgs is struct btrfs_ioctl_search_args_v2 with room for the answer.
type treeSearchArgs struct {
	tree                 uint64
	minObject, maxObject uint64
	minOffset, maxOffset uint64
	minTransid           uint64
	maxTransid           uint64
	minType, maxType     uint32
	count                uint32
	_                    uint32
	_                    [4]uint64
	size                 uint64
	answer               [treeSearchAnswer]byte
}

// searchHeader is struct btrfs_ioctl_search_header, which goes before each item.
type searchHeader struct {
	Transid, Object, Offset uint64
	Type, Length            uint32
}

// fileExtentItem is struct btrfs_file_extent_item. Inline ones end after Type, and the data follows.
type fileExtentItem struct {
	Generation, RAMBytes    uint64
	Compression, Encryption uint8
	OtherEncoding           uint16
	Type                    uint8
	DiskBytenr, DiskBytes   uint64
	Offset, Bytes           uint64
}

const (
	inlineItemSize = 21
	itemSize       = 53
)

// fileExtents lists the extents of a file on btrfs by the file system's own items. They say of a compressed extent
// which part of it the file has, which FIEMAP does not. Only root may ask.
func fileExtents(ctx context.Context, f *os.File, size int64) ([]extent, error) {
	st, err := stat(f)
	if err != nil {
		return nil, err
	}
	// What was written out is among the items only when its ordered extents are done, and this waits for them.
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return nil, fmt.Errorf("commit the file system of %s: %w", f.Name(), err)
	}
	var all []extent
	args := new(treeSearchArgs)
	for next := uint64(0); next < uint64(size); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		args.ask(st.Ino, next, uint64(size))
		if err := ioctl(f, treeSearch, unsafe.Pointer(args)); err != nil {
			return nil, fmt.Errorf("search the extents of %s: %w", f.Name(), err)
		}
		if args.count == 0 {
			break
		}
		if all, next, err = args.appendItems(all, size); err != nil {
			return nil, fmt.Errorf("read the extents of %s: %w", f.Name(), err)
		}
	}
	return all, nil
}

func (a *treeSearchArgs) ask(inode, from, to uint64) {
	a.tree, a.minObject, a.maxObject = 0, inode, inode
	a.minOffset, a.maxOffset = from, to-1
	a.minTransid, a.maxTransid = 0, ^uint64(0)
	a.minType, a.maxType = extentDataKey, extentDataKey
	a.count, a.size = ^uint32(0), treeSearchAnswer
}

// appendItems adds what was found, and says where to go on.
func (a *treeSearchArgs) appendItems(all []extent, size int64) ([]extent, uint64, error) {
	rest, next := a.answer[:], uint64(0)
	for range a.count {
		var h searchHeader
		if _, err := binary.Decode(rest, binary.NativeEndian, &h); err != nil {
			return nil, 0, err
		}
		rest = rest[searchHeaderSize:]
		if uint64(h.Length) > uint64(len(rest)) {
			return nil, 0, errors.New("an item is cut off")
		}
		item, err := parseItem(rest[:h.Length])
		if err != nil {
			return nil, 0, err
		}
		if h.Offset >= uint64(size) || len(all) > 0 && int64(h.Offset) < all[len(all)-1].end() {
			return nil, 0, fmt.Errorf("an item at %d is not behind the others, or not in %d bytes", h.Offset, size)
		}
		e := item.extent()
		e.offset = int64(h.Offset)
		e.length = int64(min(item.length(), uint64(size)-h.Offset))
		all, next, rest = joined(all, e), h.Offset+1, rest[h.Length:]
	}
	return all, next, nil
}

// parseItem reads an item as it is on disk.
func parseItem(raw []byte) (fileExtentItem, error) {
	var item fileExtentItem
	var whole [itemSize]byte
	if copy(whole[:], raw) < inlineItemSize {
		return item, fmt.Errorf("an item has %d bytes", len(raw))
	}
	if _, err := binary.Decode(whole[:], binary.LittleEndian, &item); err != nil {
		return item, err
	}
	if item.Type != itemInline && len(raw) < itemSize {
		return item, fmt.Errorf("an item of type %d has %d bytes", item.Type, len(raw))
	}
	return item, nil
}

func (i fileExtentItem) length() uint64 {
	if i.Type == itemInline {
		return i.RAMBytes
	}
	return i.Bytes
}

// extent says where the bytes are.
func (i fileExtentItem) extent() extent {
	switch {
	case i.Type == itemPrealloc, i.Type == itemRegular && i.DiskBytenr == 0:
		return extent{kind: zeroes}
	case i.Type != itemRegular, i.Encryption != 0, i.OtherEncoding != 0:
		return extent{kind: unknown}
	case i.Compression != 0:
		return extent{kind: stored, physical: i.Offset, compressed: i.DiskBytenr}
	}
	return extent{kind: stored, physical: i.DiskBytenr + i.Offset}
}
