package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/domsnap/domsnap/methods"
)

// The layout of a qcow2 header: QEMU's docs/interop/qcow2.txt. Numbers are big endian.
const (
	dataFileBit = 1 << 2

	extensionsEnd = 0
	backingFormat = 0xe2792aca
	dataFileName  = 0x44415441

	// mostName is the longest name of a backing file, headerEnd where version 2's extensions begin.
	mostName  = 1023
	headerEnd = 72
	// mostSnapshots keeps tools from a list that takes them long and much memory to print.
	mostSnapshots = 4096
	// mostExtensions and mostExtension are more than QEMU writes.
	mostExtensions = 64
	mostExtension  = 64 << 10
	// mostTable is the most entries that QEMU lets the uppermost table have, which are of 8 bytes.
	mostTable = 32 << 20 / 8
	// sector is less than what any table begins behind.
	sector = 512
)

// header is the part of a qcow2 header that says which other files there are.
type header struct {
	Magic        [4]byte
	Version      uint32
	NameOffset   uint64
	NameLength   uint32
	_            [16]byte
	TableLength  uint32
	TableOffset  uint64
	_            [12]byte
	Snapshots    uint32
	_            [8]byte
	Incompatible uint64
	_            [20]byte
	Length       uint32
}

// below is what an image says of the image below it; the zero value is that there is none.
type below struct {
	name, format string
}

// magic begins every qcow2 image.
var magic = [4]byte{'Q', 'F', 'I', 0xfb}

// IsQcow2 says whether somebody has begun to make a qcow2 image of a file.
func IsQcow2(r io.ReaderAt) (bool, error) {
	var begin [4]byte
	if n, err := r.ReadAt(begin[:], 0); n < len(begin) && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read qcow2 header: %w", err)
	}
	return begin == magic, nil
}

// CheckOverlay fails where an image is not a qcow2 overlay of the base: a tool may say that it has made one and have made
// nothing.
func CheckOverlay(overlay io.ReaderAt, base, format string) error {
	is, err := readBelow(overlay)
	if err == nil && is != (below{base, format}) {
		err = fmt.Errorf("it is built on %q with format %q", is.name, is.format)
	}
	return err
}

// Written says whether anything is in a qcow2 overlay, so that not all is read from below it: whether its uppermost table
// has any other.
func Written(overlay io.ReaderAt) (bool, error) {
	h, table, err := readTable(overlay)
	if err != nil {
		return false, err
	}
	if _, err := overlay.ReadAt(table, int64(h.TableOffset)); err != nil {
		return false, fmt.Errorf("read the table of the qcow2 image: %w", err)
	}
	return bytes.Count(table, []byte{0}) < len(table), nil
}

// ReadWriterAt is a file that can be read and written at any place.
type ReadWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// Empty has everything be read from below a qcow2 overlay. What it had keeps its room. A QEMU that has it open must not
// read or write it any more, but may close it.
func Empty(overlay ReadWriterAt) error {
	h, none, err := readTable(overlay)
	if err != nil {
		return err
	}
	if _, err := overlay.WriteAt(none, int64(h.TableOffset)); err != nil {
		return fmt.Errorf("write the table of the qcow2 image: %w", err)
	}
	return nil
}

// readTable gives the room for the uppermost table.
func readTable(r io.ReaderAt) (h header, table []byte, err error) {
	if h, err = readHeader(r); err != nil {
		return h, nil, err
	}
	if h.TableLength > mostTable || h.TableOffset < sector || h.TableOffset > 1<<40 {
		return h, nil, errors.New("read qcow2 header: its table cannot be")
	}
	return h, make([]byte, 8*int(h.TableLength)), nil
}

func readHeader(r io.ReaderAt) (h header, err error) {
	raw := make([]byte, binary.Size(h))
	if n, err := r.ReadAt(raw, 0); n < headerEnd {
		return h, fmt.Errorf("read qcow2 header: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	if _, err := binary.Decode(raw, binary.BigEndian, &h); err != nil {
		return h, fmt.Errorf("read qcow2 header: %w", err)
	}
	if h.Magic != magic || h.Version < 2 || h.Version > 3 {
		return h, errors.New("read qcow2 header: it is not one")
	}
	return h, nil
}

// readBelow reads a qcow2 header by itself, without a tool that would open what it names.
func readBelow(r io.ReaderAt) (below, error) {
	h, err := readHeader(r)
	if err != nil {
		return below{}, err
	}
	switch {
	case h.Version == 3 && h.Incompatible&dataFileBit != 0:
		return below{}, methods.Blockedf("it keeps its data in another file")
	case h.Snapshots > mostSnapshots:
		return below{}, methods.Blockedf("it says that it holds %d internal snapshots", h.Snapshots)
	}
	return h.readBelow(r)
}

func (h header) readBelow(r io.ReaderAt) (b below, err error) {
	if b.format, err = h.readFormat(r); err != nil || h.NameOffset == 0 {
		return below{}, err
	}
	if h.NameLength > mostName || h.NameOffset > 1<<40 {
		return below{}, errors.New("read qcow2 header: the name of its backing file cannot be")
	}
	name := make([]byte, h.NameLength)
	if _, err := r.ReadAt(name, int64(h.NameOffset)); err != nil {
		return below{}, fmt.Errorf("read the name of the backing file: %w", err)
	}
	b.name = string(name)
	return b, nil
}

// readFormat walks through the extensions.
func (h header) readFormat(r io.ReaderAt) (format string, err error) {
	at := int64(headerEnd)
	if h.Version == 3 {
		at = int64(h.Length)
	}
	for range mostExtensions {
		var head [8]byte
		if _, err := r.ReadAt(head[:], at); err != nil {
			return "", fmt.Errorf("read qcow2 extensions: %w", err)
		}
		kind, length := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:])
		switch {
		case kind == extensionsEnd:
			return format, nil
		case kind == dataFileName:
			return "", methods.Blockedf("it names a file for its data")
		case length > mostExtension:
			return "", errors.New("read qcow2 extensions: one is too long")
		case kind == backingFormat:
			if format, err = readText(r, at+8, length); err != nil {
				return "", err
			}
		}
		at += 8 + (int64(length)+7)&^7
	}
	return "", errors.New("read qcow2 extensions: there are too many")
}

func readText(r io.ReaderAt, at int64, length uint32) (string, error) {
	text := make([]byte, length)
	if _, err := r.ReadAt(text, at); err != nil {
		return "", fmt.Errorf("read qcow2 extensions: %w", err)
	}
	return string(bytes.TrimRight(text, "\x00")), nil
}
