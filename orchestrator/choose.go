package orchestrator

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/xmlspec"
)

// choice is a disk and the method that takes it.
type choice struct {
	disk   methods.Disk
	method methods.Method
	why    string
	spec   methods.Spec
}

// Skipped is a disk that takes no part, and why.
type Skipped struct {
	Target string `json:"target"`
	Why    string `json:"why"`
}

// choose finds a method for every disk of the domain, by the descriptor or else by what the disk is.
func (op *operation) choose(ctx context.Context, desc *xmlspec.Descriptor) ([]choice, []Skipped, error) {
	if err := op.checkNamed(desc); err != nil {
		return nil, nil, err
	}
	var chosen []choice
	var skipped []Skipped
	for _, d := range op.desc.Disks {
		wish := wishFor(desc, d.Target)
		if why := leftOut(d); why != "" || wish.Snapshot == xmlspec.SnapshotNo {
			skipped = append(skipped, Skipped{d.Target, orElse(why, "the descriptor leaves it out")})
			continue
		}
		c, err := op.chooseFor(ctx, d, wish)
		if err != nil {
			return nil, nil, err
		}
		chosen = append(chosen, c)
	}
	if len(chosen) == 0 {
		return nil, nil, refuse("", "domain %s has no disk to snapshot", op.desc.Name)
	}
	return chosen, skipped, nil
}

// checkNamed refuses a descriptor that names what is not there or cannot be.
func (op *operation) checkNamed(desc *xmlspec.Descriptor) error {
	if desc == nil {
		return nil
	}
	for _, wish := range desc.Disks {
		d, ok := op.desc.Disk(wish.Target)
		if !ok {
			return &Problem{Kind: ErrNotFound, Err: wish.Errorf("domain %s has no disk %s", op.desc.Name, wish.Target)}
		}
		if why := leftOut(d); why != "" && wish.Snapshot != xmlspec.SnapshotNo {
			return wish.Errorf("disk %s cannot be snapshotted: %s", wish.Target, why)
		}
	}
	return nil
}

func wishFor(desc *xmlspec.Descriptor, target string) xmlspec.DescriptorDisk {
	if desc != nil {
		for _, d := range desc.Disks {
			if d.Target == target {
				return d
			}
		}
	}
	return xmlspec.DescriptorDisk{Target: target}
}

func (op *operation) chooseFor(ctx context.Context, d xmlspec.Disk, wish xmlspec.DescriptorDisk) (choice, error) {
	disk, err := op.disk(ctx, d)
	if err != nil {
		return choice{}, err
	}
	c := choice{disk: disk}
	if wish.Spec != nil {
		c.spec = wish.Spec
	}
	if wish.Spec != nil && wish.Spec.Name != "" {
		c.method, err = op.Methods.Get(wish.Spec.Name, wish.Spec.Mode())
		c.why = "the descriptor says so"
		return c, err
	}
	var claim methods.Claim
	c.method, claim, err = op.Methods.Default(ctx, disk)
	c.why = claim.Why
	if err == nil && wish.Spec.Mode() != "" {
		c.method, err = op.Methods.Get(c.method.Traits().Name, wish.Spec.Mode())
	}
	return c, err
}

// check refuses what cannot be right.
func (c choice) check() error {
	if c.method.Traits().NeedsOff && c.disk.Domain.Active {
		return &methods.Blocked{
			What: fmt.Sprintf("method %s snapshots disk %s only while the domain is off", c.method.Traits().Name, c.disk.Target),
			Hint: "shut the domain down first, or choose another method",
		}
	}
	return c.checkCache()
}

// checkCache: with cache='unsafe' QEMU ignores the guest's flushes, so the storage below
// does not have what the guest believes to be there.
func (c choice) checkCache() error {
	if c.disk.Cache == "unsafe" && c.disk.Domain.Active && c.method.Traits().BelowQEMU {
		return &methods.Blocked{
			What: fmt.Sprintf("disk %s has cache='unsafe', so its storage lacks what the guest has written", c.disk.Target),
			Hint: "choose another cache mode, or snapshot the domain while it is off",
		}
	}
	return nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
