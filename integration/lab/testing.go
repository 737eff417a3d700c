package lab

import (
	"os"
	"testing"
	"time"
)

// BootTimeout is how long a guest is given to boot; it needs a third of that where nothing else runs.
const BootTimeout = 180 * time.Second

// NewTestDomain is NewDomain for tests: it is fatal when it fails, and the domain goes away with the test. The
// guest's console is logged when the test failed.
func NewTestDomain(t testing.TB, opts Options) *Domain {
	t.Helper()
	if !Running() {
		t.Fatal("not inside the lab: run this test binary by lab run")
	}
	d, err := NewDomain(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		logConsole(t, d)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// StartTestDomain makes a domain as NewTestDomain does, starts it and waits for its agent.
func StartTestDomain(t testing.TB, opts Options) *Domain {
	t.Helper()
	d := NewTestDomain(t, opts)
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	if err := d.WaitAgent(BootTimeout); err != nil {
		t.Fatal(err)
	}
	return d
}

func logConsole(t testing.TB, d *Domain) {
	if !t.Failed() {
		return
	}
	if console, err := os.ReadFile(d.ConsoleLog()); err == nil {
		t.Logf("console of %s:\n%s", d.Name(), console)
	}
}
