package lab

import (
	"os"
	"testing"
	"time"
)

// BootTimeout is how long a guest is given to boot; it needs a third of that where nothing else runs.
const BootTimeout = 180 * time.Second

// NewTestDomain is NewDomain for tests: it is fatal when it fails, and the domain goes away with the test. What the
// guest and its QEMU have said is logged when the test failed.
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
		logEnd(t, d)
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

// logEnd logs what the guest and its QEMU have said, where the test failed.
func logEnd(t testing.TB, d *Domain) {
	if !t.Failed() {
		return
	}
	for _, file := range []string{d.ConsoleLog(), "/var/log/libvirt/qemu/" + d.Name() + ".log"} {
		if said, err := os.ReadFile(file); err == nil {
			t.Logf("%s:\n%s", file, said)
		}
	}
}
