//go:build lab

package e2e

import (
	"maps"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
)

// scribble writes to all disks of the domain, which is off: a good part of each, here and there.
func (m *machine) scribble(with byte) {
	m.t.Helper()
	for _, target := range m.targets {
		check(m.t, m.Scribble(m.t.Context(), target, with, lab.HereAndThere()...))
	}
}

// checkPresent: the disks have this content.
func (m *machine) checkPresent(want map[string]string) {
	m.t.Helper()
	if now := m.diskSums(); !maps.Equal(now, want) {
		m.t.Errorf("the disks hold %v, want %v", now, want)
	}
}

// checkSnapshot: the snapshot has this content.
func (m *machine) checkSnapshot(name string, want map[string]string) {
	m.t.Helper()
	if now := m.sourceSums(name); !maps.Equal(now, want) {
		m.t.Errorf("snapshot %s holds %v, want %v", name, now, want)
	}
}

// named is the snapshot with the name, nil for none.
func (m *machine) named(name string) *orchestrator.Snapshot {
	m.t.Helper()
	for _, s := range m.p.list(m.Name()) {
		if s.Name == name {
			return &s
		}
	}
	return nil
}

// safety is the safety snapshot, nil for none.
func (m *machine) safety() *orchestrator.Snapshot {
	m.t.Helper()
	for _, s := range m.p.list(m.Name()) {
		if s.Safety {
			return &s
		}
	}
	return nil
}
