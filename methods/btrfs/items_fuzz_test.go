package btrfs

import (
	"encoding/binary"
	"testing"
)

// FuzzAppendItems reads what the kernel says of a file, cut off and spoiled.
func FuzzAppendItems(f *testing.F) {
	item := make([]byte, searchHeaderSize+itemSize)
	binary.NativeEndian.PutUint32(item[28:], itemSize)
	item[searchHeaderSize+20] = itemRegular
	f.Add(uint32(1), item)
	f.Add(uint32(3), append(item, item...))
	f.Add(^uint32(0), []byte{})
	f.Fuzz(func(t *testing.T, count uint32, answer []byte) {
		const size = 1 << 30
		args := &treeSearchArgs{count: count}
		copy(args.answer[:], answer)
		found, _, err := args.appendItems(nil, size)
		if err != nil && found != nil {
			t.Errorf("%v with %v", err, found)
		}
	})
}
