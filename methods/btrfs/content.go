package btrfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// openContent opens the snapshot's file. It fails with ErrNotFound when there is no snapshot, and with
// ErrBroken when there is one without the disk it was made of.
func (l location) openContent(store *os.File, size int64) (*os.File, error) {
	there, err := lookup(store, l.entry)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, methods.ErrNotFound
	}
	f, err := openRegular(store, l.below(), unix.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, methods.ErrBlocked) {
		return nil, fmt.Errorf("%w: %w", methods.ErrBroken, err)
	}
	if err != nil {
		return nil, err
	}
	if err := checkSize(f, l.format, size); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", methods.ErrBroken, err), f.Close())
	}
	return f, nil
}

func checkSize(f *os.File, format string, want int64) error {
	got, err := capacity(f, format)
	if err == nil && got != want {
		return fmt.Errorf("check size of %s: it is %d bytes, was %d", f.Name(), got, want)
	}
	return err
}

// capacity is the size of the disk in the file.
func capacity(f *os.File, format string) (int64, error) {
	if format == "qcow2" {
		return qcow2Capacity(f)
	}
	st, err := stat(f)
	return st.Size, err
}

// qcow2Header is the start of a qcow2 file.
type qcow2Header struct {
	Magic       [4]byte
	Version     uint32
	Backing     uint64
	BackingSize uint32
	ClusterBits uint32
	Capacity    uint64
	_           [40]byte
	// Incompatible is there since version 3.
	Incompatible uint64
}

const qcow2DataFile = 1 << 2

// namedReader is an *os.File to read.
type namedReader interface {
	io.ReaderAt
	Name() string
}

// qcow2Capacity accepts only a file that is the whole disk.
func qcow2Capacity(f namedReader) (int64, error) {
	var h qcow2Header
	section := io.NewSectionReader(f, 0, int64(binary.Size(h)))
	if err := binary.Read(section, binary.BigEndian, &h); err != nil {
		return 0, fmt.Errorf("read qcow2 header of %s: %w", f.Name(), err)
	}
	switch {
	case h.Magic != [4]byte{'Q', 'F', 'I', 0xfb}, h.Capacity > math.MaxInt64:
		return 0, methods.Blockedf("%s is no sound qcow2 file", f.Name())
	case h.Backing != 0:
		return 0, methods.Unsupportedf("%s has a backing file: a snapshot of it alone is not the disk", f.Name())
	case h.Version >= 3 && h.Incompatible&qcow2DataFile != 0:
		return 0, methods.Unsupportedf("%s has its data in another file", f.Name())
	}
	return int64(h.Capacity), nil
}
