//go:build lab

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

// night is what the script reports.
type night struct {
	OK      bool
	Domains []struct {
		Domain, Snapshot string
		OK               bool
		FrozenMS         int64 `json:"frozen_ms"`
		Replicated       []struct {
			To, Snapshot string
			Base         *string
			Resumed      bool
		}
		Deleted         []string
		ReplicasDeleted []struct{ At, Snapshot string } `json:"replicas_deleted"`
	}
}

// TestNightly: two nights of a running guest. In the first a domain that is not there fails and the guest is taken all the
// same; in the second the snapshot of the first goes.
func TestNightly(t *testing.T) {
	m := startMachine(t, small(lab.QcowFile, lab.ThinLV))
	first := m.p.night(1, "keep-last=1\n"+m.Name()+" quiesce=require\nno-such-domain\n")
	if d := first.Domains; first.OK || len(d) != 2 || !d[0].OK || d[0].FrozenMS == 0 || d[1].OK {
		t.Fatalf("the report is %+v", first)
	}
	if list := m.p.list(m.Name()); len(list) != 1 || list[0].Name != first.Domains[0].Snapshot || list[0].Consistency.Level != "filesystem" {
		t.Errorf("there are %+v", list)
	}
	second := m.p.night(0, "keep-last=1\n*\n")
	if d := second.Domains; !second.OK || len(d) != 1 || len(d[0].Deleted) != 1 || d[0].Deleted[0] != first.Domains[0].Snapshot {
		t.Errorf("the report is %+v", second)
	}
	if list := m.p.list(m.Name()); len(list) != 1 || list[0].Name != second.Domains[0].Snapshot {
		t.Errorf("there are %+v", list)
	}
	m.deleteEverything()
}

// night runs the script, which ends with a code, by a configuration.
func (p *program) night(code int, config string) (report night) {
	p.t.Helper()
	cmd := p.nightly(config)
	out, err := cmd.CombinedOutput()
	p.t.Logf("%s", out)
	if got := cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("it ended with %d (%v), want %d", got, err, code)
	}
	text, err := os.ReadFile(p.StateDir + "/nightly/report.json")
	check(p.t, err)
	check(p.t, json.Unmarshal(text, &report))
	return report
}

// nightly is a run of the script that is not started yet.
func (p *program) nightly(config string) *exec.Cmd {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "nightly.conf")
	check(p.t, os.WriteFile(file, []byte(config), 0o600))
	return p.script(exec.CommandContext(p.t.Context(), "integration/nightly/domsnap-nightly", "--config", file), "DOMSNAP_NIGHTLY_LIB=integration/nightly/lib")
}
