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

// Capabilities are what a method says of itself.
type Capabilities struct {
	methods.Traits
	Verbs methods.Verbs `json:"verbs"`
}

// Probe is the outcome of a plan.
type Probe struct {
	Snapshot bool  `json:"snapshot"`
	Size     int64 `json:"size"`
	Reserve  int64 `json:"reserve"`
	// Verbs are the optional verbs that there are for this disk.
	Verbs methods.Verbs `json:"verbs"`
	// Revert is the way back that is expected.
	Revert methods.How `json:"revert"`
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
	return Capabilities{Traits: m.Traits(), Verbs: methods.VerbsOf(m)}
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
	err = c.check()
	if err == nil {
		var ref methods.Ref
		ref, err = c.method.Plan(ctx, methods.PlanRequest{Disk: c.disk, ID: newID()})
		r.Mode, r.Probed = ref.Mode, &Probe{Snapshot: err == nil, Size: ref.Size, Reserve: ref.Reserve}
		if err == nil {
			err = op.probeVerbs(ctx, c.method, ref, r.Probed)
		}
	}
	if err != nil {
		r.Blockers = append(r.Blockers, err.Error())
	}
}

func (*operation) probeVerbs(ctx context.Context, m methods.Method, ref methods.Ref, p *Probe) (err error) {
	if p.Verbs, err = methods.Probe(ctx, m, ref); err != nil {
		return err
	}
	p.Revert, err = methods.ExpectRevert(ctx, m, ref)
	return err
}
