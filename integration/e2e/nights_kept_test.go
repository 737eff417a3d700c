//go:build lab && torture

package e2e

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// last are those of the last nights.
func (d *sleeper) last(nights int) []snapshotOfNight { return d.taken[len(d.taken)-nights:] }

func namesOf(all []snapshotOfNight) []string {
	names := []string{}
	for _, s := range all {
		names = append(names, s.name)
	}
	return names
}

// wantReplicas: the rules have kept the right ones everywhere, and each is what was taken, whether that is still here or not.
func (n *nights) wantReplicas(d *sleeper) {
	for _, place := range d.places {
		var all []replica.Manifest
		n.p.must(&all, "replica-list", place, d.Name())
		names := []string{}
		for _, m := range all {
			names = append(names, m.Name)
			if m.State != replica.Complete {
				n.t.Errorf("at %s %s is %s", place, m.Name, m.State)
			}
		}
		if want := namesOf(d.last(keptThere)); !slices.Equal(names, want) {
			n.t.Errorf("at %s are %q, want %q", place, names, want)
		}
		for _, s := range d.last(keptThere) {
			file := filepath.Join(n.t.TempDir(), "replica")
			n.p.must(&struct{}{}, "replica-verify", place, d.Name(), s.name)
			n.p.must(&struct{}{}, "replica-export", place, d.Name(), s.name, "--disk", "vda", "--file", file)
			n.wantSum(file, s)
		}
	}
}

func (n *nights) wantSum(file string, s snapshotOfNight) {
	n.t.Helper()
	if sum := strings.Fields(tool(n.t, "sha256sum", file))[0]; sum != s.sum {
		n.t.Errorf("%s of %s holds %s, want %s", file, s.name, sum, s.sum)
	}
}

// wantSnapshots: the rules have kept the right ones, and what is exported of each is what was taken, and boots.
func (n *nights) wantSnapshots(d *sleeper) {
	names := []string{}
	for _, s := range n.p.list(d.Name()) {
		names = append(names, s.Name)
	}
	if want := namesOf(d.last(keptHere)); !slices.Equal(names, want) {
		n.t.Errorf("there are %q, want %q", names, want)
	}
	for _, s := range d.last(keptHere) {
		file := filepath.Join(n.t.TempDir(), "vda.raw")
		n.p.must(&struct{}{}, "snapshot-export", d.Name(), s.name, "--disk", "vda", "--file", file)
		n.wantSum(file, s)
		n.t.Run(s.name, func(t *testing.T) { wantBoots(t, file, strings.Join(d.files[:s.night], "")) })
	}
}

// wantBoots starts a guest of the disk, which finds these files on it, and none of a later night.
func wantBoots(t *testing.T, disk, files string) {
	t.Helper()
	guest := lab.StartTestDomain(t, lab.Options{Disks: []lab.Disk{{Kind: lab.Adopted, Path: disk}}})
	found, err := guest.Exec(context.Background(), "cd /mnt/vda && sha256sum night-*")
	check(t, err)
	if found != files {
		t.Errorf("the guest finds\n%swant\n%s", found, files)
	}
}

// end: nothing is wrong, and everything goes.
func (n *nights) end() {
	n.t.Helper()
	var found orchestrator.CheckResult
	n.p.must(&found, "check")
	if !found.OK {
		n.t.Errorf("check finds %+v", found)
	}
	for _, d := range n.domains {
		for _, place := range d.places {
			n.p.must(&struct{}{}, "replica-forget", d.Name(), "--to", place)
		}
		d.deleteEverything()
	}
}
