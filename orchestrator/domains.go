package orchestrator

import (
	"context"
	"errors"

	"github.com/domsnap/domsnap/xmlspec"
)

// DomainReport is a domain as a list of all shows it.
type DomainReport struct {
	// Domain is its name, or its UUID where it cannot be read.
	Domain     string `json:"domain"`
	DomainUUID string `json:"domain_uuid"`
	State      State  `json:"state"`
	// Disks are the targets of all that it has, whatever can be done with them.
	Disks []string `json:"disks"`
	// Problem says why it cannot be read; empty as a rule.
	Problem string `json:"problem,omitempty"`
}

// Domains are all domains that there are. One that cannot be read is shown, and no error.
func (o *Orchestrator) Domains(ctx context.Context) ([]DomainReport, error) {
	uuids, err := o.Hypervisor.Domains(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]DomainReport, 0, len(uuids))
	for _, uuid := range uuids {
		d, err := o.describe(ctx, uuid)
		switch {
		case err == nil:
			all = append(all, DomainReport{Domain: d.Name, DomainUUID: uuid, State: d.State, Disks: diskTargets(d.Disks)})
		case ctx.Err() != nil:
			return nil, err
		case errors.Is(err, ErrNotFound):
			// It was undefined meanwhile.
		default:
			all = append(all, DomainReport{Domain: uuid, DomainUUID: uuid, Disks: []string{}, Problem: err.Error()})
		}
	}
	return all, nil
}

// Targets are the targets of a domain's disks.
func (o *Orchestrator) Targets(ctx context.Context, domain string) ([]string, error) {
	d, err := o.describe(ctx, domain)
	if err != nil {
		return nil, err
	}
	return diskTargets(d.Disks), nil
}

func (o *Orchestrator) describe(ctx context.Context, domain string) (*Description, error) {
	d, err := o.Hypervisor.Domain(ctx, domain)
	if err != nil {
		return nil, err
	}
	return d.Describe(ctx)
}

func diskTargets(disks []xmlspec.Disk) []string {
	targets := make([]string, 0, len(disks))
	for _, d := range disks {
		if d.Device != "cdrom" && d.Device != "floppy" {
			targets = append(targets, d.Target)
		}
	}
	return targets
}
