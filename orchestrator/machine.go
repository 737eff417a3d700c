package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/orchestrator/machine"
	"github.com/domsnap/domsnap/xmlspec"
)

// keepMachine is the step that copies what belongs to the domain besides its disks.
const keepMachine = "keep the definition, firmware and TPM"

// machineState is what belongs to the domain besides its disks: its definition, and of what it runs with now, or would with
// the next start, the parts that can be kept. The others it names.
func (op *operation) machineState(ctx context.Context) (s machine.State, others []string, err error) {
	if _, s.Definition, err = op.definition(ctx); err != nil {
		return s, nil, err
	}
	for _, p := range partsOf(&op.desc.Domain) {
		err := machine.Check(p)
		if errors.Is(err, machine.ErrNoFile) {
			others = append(others, fmt.Sprintf("%s: %v", p.Name, err))
			continue
		}
		if err != nil {
			return s, nil, err
		}
		s.Parts = append(s.Parts, p)
	}
	return s, append(others, op.desc.Unkept...), nil
}

// definition is the domain's definition, and its XML without anybody's metadata.
func (op *operation) definition(ctx context.Context) (*xmlspec.Domain, string, error) {
	d, err := op.domain.Definition(ctx)
	if err != nil {
		return nil, "", err
	}
	text, err := xmlspec.WithoutMetadata(d.XML)
	return d, text, err
}

// partsOf are the parts that a domain has, there or not.
func partsOf(d *xmlspec.Domain) []machine.Part {
	var parts []machine.Part
	if d.NVRAM != "" {
		parts = append(parts, machine.Part{Name: machine.NVRAM, Path: d.NVRAM})
	}
	if d.TPM != nil && d.TPM.Path != "" {
		parts = append(parts, machine.Part{Name: machine.TPM, Path: d.TPM.Path})
	}
	return parts
}

func (op *operation) keptOf(id string) machine.Snapshot {
	return machine.Snapshot{Domain: op.desc.UUID, ID: id}
}

// forgetMachines removes what is kept for those of the snapshots that are not in the lineage.
func (op *operation) forgetMachines(ids ...string) error {
	var errs []error
	for _, id := range ids {
		if id != "" && op.byID(id) == nil {
			errs = append(errs, op.machines.Remove(op.keptOf(id)))
		}
	}
	return errors.Join(errs...)
}

// keepMachine copies before the window what hardly ever changes, so that in it there is hardly ever anything to copy.
func (c *creation) keepMachine(ctx context.Context) error {
	return c.runner.run(ctx, step{name: keepMachine, do: func(ctx context.Context) error {
		state, others, err := c.machineState(ctx)
		if err == nil {
			c.unkept = others
			c.machine, err = c.machines.Keep(c.keptOf(c.plan.ID), state)
		}
		return err
	}})
}

// renewMachine is what of it is left for the window.
func (c *creation) renewMachine() []step {
	if len(c.machine.Names()) == 0 {
		return nil
	}
	return []step{{name: "renew the copy of firmware and TPM", do: func(context.Context) error { return c.machine.Renew() }}}
}

func (c *creation) finishMachine(ctx context.Context) error {
	return c.runner.run(ctx, step{name: "finish the copy of definition, firmware and TPM", do: func(context.Context) error { return c.machine.Finish() }})
}

// planMachine finds what of the machine is to be put back, and what is to be taken away because the machine had not made it
// yet. Single disks go back without.
func (r *reversion) planMachine(ctx context.Context) error {
	if !r.whole() {
		return nil
	}
	d, err := r.domain.Definition(ctx)
	if err != nil {
		return err
	}
	now, then := partsOf(d), strings.Fields(r.to.Machine)
	for _, name := range then {
		if !slices.ContainsFunc(now, func(p machine.Part) bool { return p.Name == name }) {
			r.changed = append(r.changed, "it has no "+name+" any more")
		}
	}
	kept, err := r.machines.Parts(r.keptOf(r.to.ID))
	if errors.Is(err, machine.ErrNotKept) && len(then) == 0 {
		return nil // what it had then is not known
	}
	if err != nil && !errors.Is(err, machine.ErrNotKept) {
		return err
	}
	return r.sortParts(now, then, kept)
}

func (r *reversion) sortParts(now []machine.Part, then, kept []string) error {
	for _, p := range now {
		err, had := machine.Check(p), slices.Contains(then, p.Name)
		switch {
		case err != nil && had:
			r.changed = append(r.changed, fmt.Sprintf("its %s is not what it was: %v", p.Name, err))
		case err != nil:
			// Such a thing is not kept, and so is not taken away either.
		case !had:
			r.gone = append(r.gone, p)
		case !slices.Contains(kept, p.Name):
			return refuse("revert the disks without it, each with --disk", "%s of snapshot %q is not in %s any more",
				p.Name, r.to.Name, r.machines.Path(r.keptOf(r.to.ID)))
		default:
			r.back = append(r.back, p)
		}
	}
	return nil
}

// findAdded compares the disks with those that the domain had then, as far as that is known.
func (r *reversion) findAdded() error {
	text, err := r.machines.Definition(r.keptOf(r.to.ID))
	if errors.Is(err, machine.ErrNotKept) || !r.whole() {
		return nil
	}
	if err != nil {
		return err
	}
	then, err := xmlspec.ParseDomain(text)
	if err != nil {
		return fmt.Errorf("read the kept definition: %w", err)
	}
	for _, d := range r.desc.Disks {
		had := r.to.Has(d.Target) || slices.ContainsFunc(r.opts.Map, func(m Mapping) bool { return m.To == d.Target })
		if _, ok := then.Disk(d.Target); !ok && !had && d.Device == "disk" {
			r.changed = append(r.changed, d.Target+" was added")
		}
	}
	return nil
}

// checkUnchanged refuses to make a machine of what was never one.
func (r *reversion) checkUnchanged() error {
	if len(r.changed) == 0 {
		return nil
	}
	return refuse("undo that; or revert the disks that are the same, each with --disk, and one that has another target by now with --map",
		"domain %s has changed since snapshot %q: %s", r.desc.Name, r.to.Name, strings.Join(r.changed, "; "))
}

// keepPresentMachine gives the safety snapshot the machine as it is, unless it has it from an attempt before.
func (r *reversion) keepPresentMachine(ctx context.Context) error {
	if r.safety == "" || !r.whole() {
		return nil
	}
	of := r.keptOf(r.safety)
	if _, err := r.machines.Parts(of); !errors.Is(err, machine.ErrNotKept) {
		return err
	}
	return r.runner.run(ctx, step{name: keepMachine, do: func(ctx context.Context) error {
		state, _, err := r.machineState(ctx)
		if err != nil {
			return err
		}
		k, err := r.machines.Keep(of, state)
		if err != nil {
			return err
		}
		return errors.Join(k.Renew(), k.Finish())
	}})
}

// keptParts names what is kept of the machine for a snapshot, as its record does.
func (op *operation) keptParts(id string) (string, error) {
	names, err := op.machines.Parts(op.keptOf(id))
	if errors.Is(err, machine.ErrNotKept) {
		return "", nil
	}
	return strings.Join(names, " "), err
}

// stageMachine does all that may fail of putting the machine back.
func (r *reversion) stageMachine(ctx context.Context) error {
	if len(r.back) == 0 {
		return nil
	}
	return r.runner.run(ctx, step{
		name: "stage " + partNames(r.back),
		do:   func(context.Context) error { return r.machines.Stage(r.keptOf(r.to.ID), r.back) },
		undo: func(context.Context) error { return r.machines.Unstage(r.back) },
	})
}

// putBack are the steps that put the machine back, where there is anything to put back or to take away.
func (r *reversion) putBack() []step {
	var steps []step
	if len(r.back) > 0 {
		steps = append(steps, step{name: "put back " + partNames(r.back), noted: true, do: func(context.Context) error {
			return r.machines.Swap(r.back)
		}})
	}
	if len(r.gone) > 0 {
		steps = append(steps, step{name: "take away " + partNames(r.gone), noted: true, do: func(context.Context) error {
			return r.machines.Discard(r.gone)
		}})
	}
	return steps
}

// partNames is for people.
func partNames(parts []machine.Part) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.Name
	}
	return strings.Join(names, " and ")
}
