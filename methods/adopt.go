package methods

import (
	"context"
	"fmt"
	"strings"
)

// nobody is an id that no snapshot has: ids of snapshots are longer.
const nobody = "none"

// Adopt is the Ref of a snapshot of the disk that the storage has and of which there is no record any more. It is named as
// one that is to be taken, so that it fails with ErrUnsupported where the name does not follow from the disk and the id:
// where a snapshot moves the disk to another source. It fails with ErrNotFound and ErrBroken as Stat does, and with ErrBlocked
// where the disk has another size by now.
func Adopt(ctx context.Context, m Method, disk Disk, id string) (Ref, error) {
	object, err := ObjectName(id, disk.Target)
	if err != nil {
		return Ref{}, err
	}
	ref, err := m.Plan(ctx, PlanRequest{Disk: disk, ID: nobody})
	if err != nil {
		return Ref{}, fmt.Errorf("name the snapshot: %w", err)
	}
	template, err := ObjectName(nobody, disk.Target)
	if err != nil {
		return Ref{}, err
	}
	at := strings.LastIndex(ref.Name, template)
	if m.Traits().MovesSource || at < 0 {
		return Ref{}, unsupported(m, "adoption")
	}
	ref.Snapshot, ref.Name = id, ref.Name[:at]+object+ref.Name[at+len(template):]
	if _, err := m.Stat(ctx, ref); err != nil {
		return ref, err
	}
	return ref, checkSizeOf(ctx, m, ref)
}

// checkSizeOf refuses a snapshot of another size than the disk has: what it was recorded with is not known any more.
func checkSizeOf(ctx context.Context, m Method, ref Ref) error {
	c, err := m.Open(ctx, ref)
	if err != nil {
		return err
	}
	size := c.Size()
	if err := c.Close(); err != nil {
		return err
	}
	if size != ref.Size {
		return Blockedf("disk %s has %d bytes, and %s has %d", ref.Disk.Target, ref.Size, ref.Name, size)
	}
	return nil
}
