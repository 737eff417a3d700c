package engine

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// Probe implements methods.Prober. A disk has no verbs that the engine does not have.
func (m *Method) Probe(ctx context.Context, ref methods.Ref) (methods.Verbs, error) {
	all := m.Verbs()
	if !m.hello.Verbs.Probe {
		return all, m.broken
	}
	v, err := once[methods.Verbs](ctx, m, m.look("probe", refParams{ref}))
	return methods.Verbs{
		Claim: all.Claim, Check: all.Check, Prepare: true, Merge: all.Merge && v.Merge, Source: all.Source && v.Source,
		Changes: all.Changes && v.Changes, Revert: all.Revert && v.Revert, Keep: all.Keep && v.Keep, List: all.List && v.List,
	}, err
}

// Claim implements methods.Claimer. An engine that does not answer claims nothing.
func (m *Method) Claim(ctx context.Context, disk methods.Disk) methods.Claim {
	c, err := once[claimAnswer](ctx, m, m.look("claim", diskParams{disk}))
	if err != nil || c.Rank == nil || *c.Rank <= 0 || checkText("why", c.Why, 200) != nil {
		return methods.Claim{}
	}
	return methods.Claim{Rank: min(*c.Rank, methods.RankOnly), Why: c.Why}
}

// Check implements methods.Checker.
func (m *Method) Check(ctx context.Context) error {
	if m.broken != nil || !m.hello.Verbs.Check {
		return m.broken
	}
	_, err := once[nothing](ctx, m, m.look("check", nothing{}))
	return err
}

// PlanDrop implements methods.Merger.
func (m *Method) PlanDrop(ctx context.Context, req methods.DropRequest) (methods.DropPlan, error) {
	const verb = "plan-drop"
	answer, err := once[dropPlanAnswer](ctx, m, m.look(verb, toDrop(req)))
	if err != nil {
		return methods.DropPlan{}, err
	}
	plan := methods.DropPlan{NeededBy: answer.NeededBy, Active: answer.Active}
	if err := checkTexts("needed_by", answer.NeededBy, 1024); err != nil {
		return methods.DropPlan{}, m.wrong(verb, err)
	}
	if err := checkOptionalText("active", answer.Active, 4096); err != nil {
		return methods.DropPlan{}, m.wrong(verb, err)
	}
	plan.Renamed, err = renamed(answer.Renamed, req.Others)
	return plan, m.wrong(verb, err)
}

// renamed puts new names into refs we know.
func renamed(list []renamedRef, others []methods.Ref) ([]methods.Ref, error) {
	refs, seen := make([]methods.Ref, 0, len(list)), map[string]bool{}
	for _, r := range list {
		ref, ok := find(others, r.Snapshot)
		if !ok || seen[r.Snapshot] {
			return nil, fmt.Errorf("renamed %.80q is not one of the others, or stands there twice", r.Snapshot)
		}
		seen[r.Snapshot] = true
		for _, err := range []error{
			checkText("name", r.Name, 1024), checkText("origin", r.Origin, 4096), checkActive(r.Active, ref.Active != ""),
		} {
			if err != nil {
				return nil, err
			}
		}
		ref.Name, ref.Origin, ref.Active = r.Name, r.Origin, r.Active
		refs = append(refs, ref)
	}
	return refs, nil
}

func find(refs []methods.Ref, snapshot string) (methods.Ref, bool) {
	for _, ref := range refs {
		if ref.Snapshot == snapshot {
			return ref, true
		}
	}
	return methods.Ref{}, false
}

// Source implements methods.Sourcer.
func (m *Method) Source(ctx context.Context, ref methods.Ref) (methods.BackupSource, error) {
	s, err := once[methods.BackupSource](ctx, m, m.look("source", refParams{ref}))
	if err == nil {
		err = m.wrong("source", checkSource(s))
	}
	if err != nil {
		return methods.BackupSource{}, err
	}
	return s, nil
}

// Changes implements methods.Differ.
func (m *Method) Changes(ctx context.Context, req methods.ChangesRequest) ([]methods.Extent, error) {
	answer, err := once[changesAnswer](ctx, m, m.act("changes", changesParams{req.From, req.To, req.Disk}, nil))
	if err != nil {
		return nil, err
	}
	if answer.Extents == nil {
		return nil, m.wrong("changes", fmt.Errorf("extents are missing"))
	}
	extents, err := toExtents(*answer.Extents, req.From.Size)
	return extents, m.wrong("changes", err)
}

// CheckRevert implements methods.Reverter.
func (m *Method) CheckRevert(ctx context.Context, req methods.RevertRequest) error {
	_, err := once[nothing](ctx, m, m.look("check-revert", toRevert(req)))
	return err
}

// Revert implements methods.Reverter.
func (m *Method) Revert(ctx context.Context, req methods.RevertRequest) (methods.Reverted, error) {
	answer, err := once[revertAnswer](ctx, m, m.act("revert", toRevert(req), req.Progress))
	if err != nil {
		return methods.Reverted{}, err
	}
	if err := checkSize("bytes_written", answer.BytesWritten); err != nil {
		return methods.Reverted{}, m.wrong("revert", err)
	}
	return methods.Reverted{How: methods.HowNative, BytesWritten: *answer.BytesWritten}, nil
}

// PlanKeep implements methods.Keeper. A revert moves no disk to another source.
func (m *Method) PlanKeep(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	return m.plan(ctx, "plan-keep", req, false)
}

// List implements methods.Lister.
func (m *Method) List(ctx context.Context, disk methods.Disk) ([]string, error) {
	answer, err := once[listAnswer](ctx, m, m.look("list", diskParams{disk}))
	if err != nil {
		return nil, err
	}
	if answer.Names == nil {
		return nil, m.wrong("list", fmt.Errorf("names are missing"))
	}
	return *answer.Names, m.wrong("list", checkTexts("name", *answer.Names, 1024))
}
