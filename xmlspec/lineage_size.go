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

// Room is how many bytes a lineage may have when a snapshot is to be added, more than 2,000 of them. What a revert adds to
// keep the present may go beyond. Every snapshot of libvirt's own holds the domain's metadata twice, and libvirt loses at its
// next start what has more than 1 MiB.
const Room = 256 << 10

// CheckRoom fails where the lineage would be larger than Room with this snapshot. It was read from so many bytes: where there
// is plenty of room it is not written to find that out.
func (l *Lineage) CheckRoom(s LineageSnapshot, written int) error {
	orphan := s
	orphan.Parent = ""
	alone, err := (&Lineage{Snapshots: []LineageSnapshot{orphan}}).Marshal()
	if err != nil || written+len(alone)+len(s.Parent) <= Room {
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
func (l *Lineage) checkSize(written string) error {
	if len(written) > MaxBytes || len(l.Snapshots) > maxSnapshots {
		return fmt.Errorf("%d snapshots in %d bytes are more than %d in %d: delete some", len(l.Snapshots), len(written), maxSnapshots, MaxBytes)
	}
	// Quotes are escaped where they do not end an attribute, and ends of elements count too.
	if nodes := strings.Count(written, `="`) + strings.Count(written, "<"); nodes > maxLineageNodes {
		return fmt.Errorf("%d snapshots are written in more than %d elements and attributes: delete some", len(l.Snapshots), maxLineageNodes)
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
