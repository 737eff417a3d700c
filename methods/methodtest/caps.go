package methodtest

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// verb is an optional verb: whether it is declared, there for the disk, and written at all.
type verb struct {
	name                        string
	declared, probed, implement bool
}

func verbsOf(m methods.Method, probed methods.Verbs) []verb {
	d := methods.VerbsOf(m)
	return []verb{
		{"Claim", d.Claim, probed.Claim, is[methods.Claimer](m)},
		{"Check", d.Check, probed.Check, is[methods.Checker](m)},
		{"Prepare", d.Prepare, probed.Prepare, is[methods.Preparer](m)},
		{"Merge", d.Merge, probed.Merge, is[methods.Merger](m)},
		{"Source", d.Source, probed.Source, is[methods.Sourcer](m)},
		{"Changes", d.Changes, probed.Changes, is[methods.Differ](m)},
		{"Revert", d.Revert, probed.Revert, is[methods.Reverter](m)},
		{"Keep", d.Keep, probed.Keep, is[methods.Keeper](m)},
		{"List", d.List, probed.List, is[methods.Lister](m)},
	}
}

func is[V any](m methods.Method) bool {
	_, ok := m.(V)
	return ok
}

func capsAsDeclared(b *bench) {
	s := b.disk("vda")
	probed, err := methods.Probe(b.Context(), b.Method, s.plan("probed"))
	b.must("probe the disk", err)
	for _, v := range verbsOf(b.Method, probed) {
		if v.declared && !v.implement || v.probed && !v.declared {
			b.Errorf("%s is declared: %t, there for the disk: %t, written: %t", v.name, v.declared, v.probed, v.implement)
		}
	}
	if probed.Keep && !probed.Revert {
		b.Errorf("the method claims to keep the present in a revert, and has none")
	}
	s.wantVerbsAnswer(probed)
}

// wantVerbsAnswer wants what is there for the disk to answer, and everything else to be unsupported.
func (s *subject) wantVerbsAnswer(probed methods.Verbs) {
	s.Helper()
	ctx, snap := s.Context(), s.take("taken")
	_, err := methods.List(ctx, s.Method, s.disk)
	s.wantSupport("list", probed.List, err)
	_, err = methods.SourceOf(ctx, s.Method, snap.ref)
	s.wantSupport("backup source", probed.Source, err)
	_, err = methods.Changes(ctx, s.Method, methods.ChangesRequest{From: snap.ref, Disk: s.disk})
	s.wantSupport("changes", probed.Changes, err)
	s.wantSupport("check of the host", true, methods.CheckHost(ctx, s.Method))
	if c := methods.ClaimDisk(ctx, s.Method, s.disk); !probed.Claim && c.Rank != 0 {
		s.Errorf("the disk is claimed, and no claim is declared: %+v", c)
	}
}

func (s *subject) wantSupport(what string, there bool, err error) {
	s.Helper()
	if there && err != nil || !there && !errors.Is(err, methods.ErrUnsupported) {
		s.Errorf("%s is there: %t, and answers: %v", what, there, err)
	}
}

func traitsAreTrue(b *bench) {
	s, traits := b.disk("vda"), b.Method.Traits()
	costs := []methods.Cost{methods.CostNothing, methods.CostChanged, methods.CostSize}
	if !slices.Contains(costs, traits.TakeCost) || !slices.Contains(costs, traits.RevertCost) {
		b.Errorf("the costs are %q and %q, want of %q", traits.TakeCost, traits.RevertCost, costs)
	}
	if traits.Name == "" || traits.Summary == "" || strings.Contains(traits.Summary, "\n") {
		b.Errorf("want a name, and a summary of one line: %+v", traits)
	}
	if traits.Atomic && !methods.VerbsOf(b.Method).Prepare {
		b.Errorf("a group is said to be taken at once, and nothing prepares it")
	}
	before := s.disk
	snap := s.take("moved")
	if moved := snap.ref.Active != ""; moved != traits.MovesSource || reflect.DeepEqual(s.disk.Source, before.Source) == moved {
		b.Errorf("moves the source: %t, planned is %q, and the disk went from %s to %s",
			traits.MovesSource, snap.ref.Active, before.Source, s.disk.Source)
	}
	if b.Method.Traits() != traits {
		b.Errorf("the traits have changed: %+v", b.Method.Traits())
	}
	s.wantNeedsOff(traits)
}

func (s *subject) wantNeedsOff(traits methods.Traits) {
	s.Helper()
	if !traits.NeedsOff {
		return
	}
	req := s.request("active")
	req.Disk.Domain.Active = true
	_, err := s.Method.Plan(s.Context(), req)
	s.wantError("plan a disk of an active domain", err, methods.ErrBlocked)
}

func missingTool(b *bench) {
	without := b.suite.WithoutTool(b)
	b.wantError("check the host", methods.CheckHost(b.Context(), without.Method), methods.ErrUnsupported, methods.ErrBlocked)
	disk := without.NewDisk(b, "vda", pattern("vda", b.suite.Size))
	_, err := without.Method.Plan(b.Context(), methods.PlanRequest{Disk: disk, ID: b.id("missing"), Spec: without.Spec})
	b.wantError("plan", err, methods.ErrUnsupported, methods.ErrBlocked)
}
