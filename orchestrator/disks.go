package orchestrator

import (
	"context"

	"github.com/domsnap/domsnap/methods"
)

// DiskReport is what domsnap makes of one disk.
type DiskReport struct {
	Target string `json:"target"`
	Source string `json:"source"`
	Format string `json:"format"`
	// Method is the one the disk would get; empty when it is left out.
	Method string `json:"method"`
	Mode   string `json:"mode"`
	Why    string `json:"why"`
	// Declared are the method's facts; Probed says what a plan for this very disk came to.
	Declared *Capabilities `json:"declared"`
	Probed   *Probe        `json:"probed"`
	Blockers []string      `json:"blockers"`
}

// Capabilities are what a method can do.
type Capabilities struct {
	methods.Traits
	Prepare       bool `json:"prepare"`
	InPlaceRevert bool `json:"in_place_revert"`
	KeepsPresent  bool `json:"keeps_present"`
	MergesOnDrop  bool `json:"merges_on_drop"`
}

// Probe is the outcome of a plan.
type Probe struct {
	Snapshot bool  `json:"snapshot"`
	Size     int64 `json:"size"`
	Reserve  int64 `json:"reserve"`
}

// MethodReport is one method on this host.
type MethodReport struct {
	Name         string       `json:"name"`
	Summary      string       `json:"summary"`
	Capabilities Capabilities `json:"capabilities"`
	Works        bool         `json:"works"`
	// Needs says what is missing, when it does not work.
	Needs string `json:"needs"`
}

// MethodReports lists every method of this program.
func (o *Orchestrator) MethodReports(ctx context.Context) []MethodReport {
	list := make([]MethodReport, 0, len(o.Methods))
	for _, m := range o.Methods {
		r := MethodReport{Name: m.Traits().Name, Summary: m.Traits().Summary, Capabilities: capabilities(m), Works: true}
		if err := methods.CheckHost(ctx, m); err != nil {
			r.Works, r.Needs = false, err.Error()
		}
		list = append(list, r)
	}
	return list
}

func capabilities(m methods.Method) Capabilities {
	_, prepares := m.(methods.Preparer)
	_, keeps := m.(methods.Keeper)
	_, merges := m.(methods.Merger)
	return Capabilities{
		Traits: m.Traits(), Prepare: prepares, InPlaceRevert: methods.CanRevert(m), KeepsPresent: keeps, MergesOnDrop: merges,
	}
}

// Disks tells what would become of each disk of the domain. It changes nothing.
func (o *Orchestrator) Disks(ctx context.Context, domain string) ([]DiskReport, error) {
	op, err := o.look(ctx, domain)
	if err != nil {
		return nil, err
	}
	list := make([]DiskReport, 0, len(op.desc.Disks))
	for _, d := range op.desc.Disks {
		r := DiskReport{Target: d.Target, Source: toSource(d.Source).String(), Format: d.Format, Blockers: []string{}}
		if why := leftOut(d); why != "" {
			r.Why = "left out: " + why
		} else {
			op.probe(ctx, &r)
		}
		list = append(list, r)
	}
	return list, nil
}

// probe plans the disk as a snapshot would.
func (op *operation) probe(ctx context.Context, r *DiskReport) {
	d, _ := op.desc.Disk(r.Target)
	c, err := op.chooseFor(ctx, d, wishFor(nil, r.Target))
	if err != nil {
		r.Why, r.Blockers = "no method fits", append(r.Blockers, err.Error())
		return
	}
	caps := capabilities(c.method)
	r.Method, r.Why, r.Declared, r.Source = caps.Name, c.why, &caps, c.disk.Source.String()
	err = c.checkCache()
	if err == nil {
		var ref methods.Ref
		ref, err = c.method.Plan(ctx, methods.PlanRequest{Disk: c.disk, ID: newID()})
		r.Mode, r.Probed = ref.Mode, &Probe{Snapshot: err == nil, Size: ref.Size, Reserve: ref.Reserve}
	}
	if err != nil {
		r.Blockers = append(r.Blockers, err.Error())
	}
}
