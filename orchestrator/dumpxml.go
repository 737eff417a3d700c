package orchestrator

import (
	"context"
	"fmt"
	"time"

	"github.com/domsnap/domsnap/xmlspec"
)

// DumpXML is a snapshot as a descriptor: taking a snapshot by it uses the same methods on the same disks.
func (o *Orchestrator) DumpXML(ctx context.Context, domain, name string) (string, error) {
	op, s, err := o.find(ctx, domain, name)
	if err != nil {
		return "", err
	}
	return op.describe(ctx, s)
}

// describe is a snapshot as a descriptor.
func (op *operation) describe(ctx context.Context, s *xmlspec.LineageSnapshot) (string, error) {
	v := op.view(ctx, s)
	d := &xmlspec.Descriptor{
		Name: v.Name, Description: v.Description, CreationTime: time.Unix(s.Created, 0), State: v.State,
	}
	if v.Parent != nil {
		d.Parent = *v.Parent
	}
	for _, disk := range v.Disks {
		d.Disks = append(d.Disks, dumpDisk(disk))
	}
	text, err := d.Marshal()
	if err != nil {
		return "", fmt.Errorf("write snapshot %s as XML: %w", v.Name, err)
	}
	return string(text), nil
}

func dumpDisk(v SnapshotDisk) xmlspec.DescriptorDisk {
	d := xmlspec.DescriptorDisk{
		Target: v.Target, Spec: &xmlspec.MethodSpec{Name: v.Method}, Ref: v.Ref, BackupSource: v.BackupSource.XML,
	}
	if v.ModifiedDisk != nil {
		d.ModifiedDisk = *v.ModifiedDisk
	}
	return d
}
