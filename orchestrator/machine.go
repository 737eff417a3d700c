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

// machineState is what belongs to the domain besides its disks.
func (op *operation) machineState(ctx context.Context) (machine.State, error) {
	d, err := op.domain.Definition(ctx)
	if err != nil {
		return machine.State{}, err
	}
	text, err := xmlspec.WithoutMetadata(d.XML)
	s := machine.State{Definition: text}
	if d.NVRAM != "" {
		s.Parts = append(s.Parts, machine.Part{Name: machine.NVRAM, Path: d.NVRAM})
	}
	if d.TPM != nil && d.TPM.Path != "" {
		s.Parts = append(s.Parts, machine.Part{Name: machine.TPM, Path: d.TPM.Path})
	}
	return s, err
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
		state, err := c.machineState(ctx)
		if err == nil {
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

// planMachine finds what of the machine is to be put back. Single disks go back without.
func (r *reversion) planMachine(ctx context.Context) error {
	if !r.whole() {
		return nil
	}
	now, err := r.machineState(ctx)
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(r.to.Machine) {
		n := slices.IndexFunc(now.Parts, func(p machine.Part) bool { return p.Name == name })
		if n < 0 {
			r.changed = append(r.changed, "it has no "+name+" any more")
			continue
		}
		r.back = append(r.back, now.Parts[n])
	}
	return r.checkKept()
}

func (r *reversion) checkKept() error {
	if len(r.back) == 0 {
		return nil
	}
	kept, err := r.machines.Parts(r.keptOf(r.to.ID))
	if err != nil && !errors.Is(err, machine.ErrNotKept) {
		return err
	}
	for _, p := range r.back {
		if !slices.Contains(kept, p.Name) {
			return refuse("revert the disks without it, each with --disk", "%s of snapshot %q is not in %s any more",
				p.Name, r.to.Name, r.machines.Path(r.keptOf(r.to.ID)))
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
		had := slices.ContainsFunc(r.opts.Map, func(m Mapping) bool { return m.To == d.Target })
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
	of := r.keptOf(r.safety)
	if _, err := r.machines.Parts(of); r.safety == "" || !r.whole() || !errors.Is(err, machine.ErrNotKept) {
		return nil
	}
	return r.runner.run(ctx, step{name: keepMachine, do: func(ctx context.Context) error {
		state, err := r.machineState(ctx)
		if err != nil {
			return err
		}
		k, err := r.machines.Keep(of, state)
		if err != nil {
			return err
		}
		return k.Finish()
	}})
}

// keptParts names what the safety snapshot has of the machine.
func (r *reversion) keptParts() (string, error) {
	names, err := r.machines.Parts(r.keptOf(r.safety))
	if errors.Is(err, machine.ErrNotKept) {
		return "", nil
	}
	return strings.Join(names, " "), err
}

// putBack is the step that puts the machine back, where there is anything.
func (r *reversion) putBack() []step {
	if len(r.back) == 0 {
		return nil
	}
	return []step{{name: "put back " + partNames(r.back), noted: true, do: func(context.Context) error {
		return r.machines.Restore(r.keptOf(r.to.ID), r.back)
	}}}
}

// partNames is for people.
func partNames(parts []machine.Part) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.Name
	}
	return strings.Join(names, " and ")
}
