package methodtest

import (
	"slices"

	"github.com/domsnap/domsnap/methods"
)

// Check names one check of the suite.
type Check string

// check is one row of the suite's table.
type check struct {
	name Check
	// needs says why the check does not apply to a method; empty when it does.
	needs func(facts) string
	run   func(*bench)
}

// facts are what a method says of itself and of a disk.
type facts struct {
	traits methods.Traits
	verbs  methods.Verbs
	suite  Suite
}

// checks are all checks, in the order in which they run.
func checks() []check {
	return slices.Concat(
		planChecks(), takeChecks(), statChecks(), dropChecks(), readChecks(), changesChecks(),
		revertChecks(), genericChecks(), interruptChecks(), hostileChecks(),
	)
}

func always(facts) string { return "" }

// claims is for checks of an optional verb, or of a trait.
func claims(what string, has func(facts) bool) func(facts) string {
	return func(f facts) string {
		if has(f) {
			return ""
		}
		return "the method claims no " + what
	}
}

// facts asks the method about a disk, which is gone again when the checks begin.
func (s Suite) facts(t T) (f facts) {
	t.Helper()
	try := newTrial(t)
	try.run(func() {
		b := s.bench(try)
		ref := b.disk("vda").plan("facts")
		verbs, err := methods.Probe(b.Context(), b.Method, ref)
		b.must("probe the disk", err)
		f = facts{traits: b.Method.Traits(), verbs: verbs, suite: s}
	})
	if try.failed() {
		t.Fatalf("%s: no plan of an ordinary disk, so there is nothing to check: %s", s.Name, try.report())
	}
	return f
}
