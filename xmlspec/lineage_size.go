package xmlspec

import (
	"fmt"
	"slices"
	"strings"
)

// What a lineage may be at most: as it is written, and with its layouts filled in. A small text can stand for a large
// lineage, since every snapshot may have all that one layout says.
const (
	maxSnapshots    = 5_000
	maxLineageDisks = 50_000
	maxLineageText  = 4 << 20
)

// Room is how many bytes a lineage should have at most, a few thousand snapshots. Every snapshot of libvirt's own holds the
// domain's metadata twice, and libvirt loses at its next start what has more than 1 MiB.
const Room = 256 << 10

// CheckRoom fails where the lineage would be larger than Room with this snapshot. What is there already is not judged.
// The lineage was read from so many bytes: where there is plenty of room it is not written to find that out.
func (l *Lineage) CheckRoom(s LineageSnapshot, written int) error {
	alone, err := (&Lineage{Snapshots: []LineageSnapshot{s}}).Marshal()
	if err != nil || written+len(alone) <= Room {
		return err
	}
	with := *l
	with.Snapshots = append(slices.Clone(l.Snapshots), s)
	text, err := with.Marshal()
	if err == nil && len(text) > Room {
		err = fmt.Errorf("the records of %d snapshots would have %d bytes, and have room for %d", len(with.Snapshots), len(text), Room)
	}
	return err
}

// checkSize is for what is to be written.
func (l *Lineage) checkSize(written int) error {
	if written > MaxBytes || len(l.Snapshots) > maxSnapshots {
		return fmt.Errorf("%d snapshots in %d bytes are more than %d in %d: delete some", len(l.Snapshots), written, maxSnapshots, MaxBytes)
	}
	var filled size
	for i := range l.Snapshots {
		if err := filled.add(&l.Snapshots[i], l.Snapshots[i].Disks); err != nil {
			return err
		}
	}
	return nil
}

// size is that of the disks of snapshots.
type size struct{ disks, text int }

// add fails before anything of an excess is made.
func (z *size) add(s *LineageSnapshot, disks []LineageDisk) error {
	if z.disks += len(disks); z.disks > maxLineageDisks {
		return fmt.Errorf("its snapshots have more than %d disks together", maxLineageDisks)
	}
	for _, d := range disks {
		for _, text := range []string{d.File, d.Origin, d.Name, d.Active} {
			z.text += len(text) + strings.Count(text, "{id}")*len(s.ID) + strings.Count(text, "{parent}")*len(s.Parent)
		}
		if z.text > maxLineageText {
			return fmt.Errorf("the names of its snapshots have more than %d bytes together", maxLineageText)
		}
	}
	return nil
}
