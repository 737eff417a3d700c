package methodtest

import (
	"reflect"

	"github.com/domsnap/domsnap/methods"
)

// The checks of what a method says of itself and of a plan.
const (
	CapsAsDeclared           Check = "CapsAsDeclared"
	TraitsAreTrue            Check = "TraitsAreTrue"
	MissingToolIsUnsupported Check = "MissingToolIsUnsupported"
	PlanChangesNothing       Check = "PlanChangesNothing"
	PlanIsDeterministic      Check = "PlanIsDeterministic"
	PlanNamesWhatItWasAsked  Check = "PlanNamesWhatItWasAsked"
	PlanRefusesTakenName     Check = "PlanRefusesTakenName"
)

func planChecks() []check {
	return []check{
		{CapsAsDeclared, always, capsAsDeclared},
		{TraitsAreTrue, always, traitsAreTrue},
		{MissingToolIsUnsupported, claims("tool that could be missing", func(f facts) bool { return f.suite.WithoutTool != nil }), missingTool},
		{PlanChangesNothing, always, planChangesNothing},
		{PlanIsDeterministic, always, planIsDeterministic},
		{PlanNamesWhatItWasAsked, always, planNamesWhatItWasAsked},
		{PlanRefusesTakenName, always, planRefusesTakenName},
	}
}

func planChangesNothing(b *bench) {
	s := b.disk("vda")
	ref := s.plan("plan")
	s.wantObjects()
	s.wantDisk()
	_, err := b.Method.Stat(b.Context(), ref)
	b.wantError("stat after a plan", err, methods.ErrNotFound)
}

func planIsDeterministic(b *bench) {
	s := b.disk("vda")
	first := s.plan("same")
	s.scribble("between")
	for range 3 {
		if again := s.plan("same"); !reflect.DeepEqual(first, again) {
			b.Errorf("the same request has two answers: %+v and %+v", first, again)
		}
	}
}

func planNamesWhatItWasAsked(b *bench) {
	s := b.disk("vda")
	ref := s.plan("named")
	want := methods.Ref{Snapshot: b.id("named"), Method: b.Method.Traits().Name, Size: b.suite.Size}
	got := methods.Ref{Snapshot: ref.Snapshot, Method: ref.Method, Size: ref.Size}
	if got != want || ref.Name == "" || ref.Origin == "" {
		b.Errorf("the plan is %+v, want %+v with a name and an origin", ref, want)
	}
	if !reflect.DeepEqual(ref.Disk, s.disk) {
		b.Errorf("the plan is for %+v, asked was %+v", ref.Disk, s.disk)
	}
}

func planRefusesTakenName(b *bench) {
	s := b.disk("vda")
	s.take("once")
	_, err := b.Method.Plan(b.Context(), s.request("once"))
	b.wantError("plan a name that is taken", err, methods.ErrExists)
}
