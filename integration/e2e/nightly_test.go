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
		Deleted          []string
	}
}

// TestNightly: two nights of a running guest. In the first a domain that is not there fails and the guest is taken all the
// same; in the second the snapshot of the first goes.
func TestNightly(t *testing.T) {
	m := startMachine(t, small(lab.QcowFile, lab.ThinLV))
	first := m.night(1, "keep-last=1\n"+m.Name()+" quiesce=require\nno-such-domain\n")
	if d := first.Domains; first.OK || len(d) != 2 || !d[0].OK || d[0].FrozenMS == 0 || d[1].OK {
		t.Fatalf("the report is %+v", first)
	}
	if list := m.p.list(m.Name()); len(list) != 1 || list[0].Name != first.Domains[0].Snapshot || list[0].Consistency.Level != "filesystem" {
		t.Errorf("there are %+v", list)
	}
	second := m.night(0, "keep-last=1\n*\n")
	if d := second.Domains; !second.OK || len(d) != 1 || len(d[0].Deleted) != 1 || d[0].Deleted[0] != first.Domains[0].Snapshot {
		t.Errorf("the report is %+v", second)
	}
	if list := m.p.list(m.Name()); len(list) != 1 || list[0].Name != second.Domains[0].Snapshot {
		t.Errorf("there are %+v", list)
	}
	m.deleteEverything()
}

// night runs the script, which ends with a code, by a configuration.
func (m *machine) night(code int, config string) (report night) {
	m.t.Helper()
	file := filepath.Join(m.t.TempDir(), "nightly.conf")
	check(m.t, os.WriteFile(file, []byte(config), 0o600))
	cmd := exec.CommandContext(m.t.Context(), "integration/nightly/domsnap-nightly", "--config", file)
	cmd.Env = append(os.Environ(), "DOMSNAP="+m.p.Path, "DOMSNAP_STATE_DIR="+m.p.StateDir, "DOMSNAP_NIGHTLY_LIB=integration/nightly/lib")
	out, err := cmd.CombinedOutput()
	m.t.Logf("%s", out)
	if got := cmd.ProcessState.ExitCode(); got != code {
		m.t.Fatalf("it ended with %d (%v), want %d", got, err, code)
	}
	text, err := os.ReadFile(m.p.StateDir + "/nightly/report.json")
	check(m.t, err)
	check(m.t, json.Unmarshal(text, &report))
	return report
}
