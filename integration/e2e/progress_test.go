//go:build lab

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestProgressOnATerminal: what takes long shows how far it is while somebody looks, wipes that away, and shows it to nobody
// else.
func TestProgressOnATerminal(t *testing.T) {
	m := newMachine(t, blank(lab.QcowFile, lab.RawFile))
	dir, name := t.TempDir(), m.Name()
	place, file := "file:"+dir+"/replicas", filepath.Join(dir, "one.raw")
	for _, long := range []struct {
		steps string
		args  []string
	}{
		{"copy disks", []string{"snapshot-create-as", name, "one", "--diskspec", copied}},
		{"export vda", []string{"snapshot-export", name, "one", "--disk", "vda", "--file", file}},
		{"replicate vda, replicate vdb", []string{"snapshot-replicate", name, "one", "--to", place}},
		{"verify one", []string{"replica-verify", place, name, "one"}},
		{"revert vdb, verify disk vdb", []string{"snapshot-revert", name, "one", "--verify", "--no-safety"}},
		{"", []string{"replica-forget", name, "--to", place}},
		{"drop vda", []string{"snapshot-delete", name, "one"}},
	} {
		m.p.showsProgress(strings.Split(long.steps, ", "), long.args...)
	}
	for _, quiet := range [][]string{{"-o", "json"}, {"--no-progress"}, {"--quiet"}} {
		if said := m.p.onTerminal(append(quiet, "snapshot-create-as", name, "two", "--diskspec", copied)...); said != "" {
			t.Errorf("with %s the terminal got %q", quiet, said)
		}
		m.p.delete(name, "two")
	}
}

// showsProgress wants each step's line, with a share and an amount, and no line to be left.
func (p *program) showsProgress(steps []string, args ...string) {
	p.t.Helper()
	said := p.onTerminal(args...)
	for _, step := range steps {
		var percent int
		var done, total float64
		_, after, _ := strings.Cut(said, "\x1b[?7l"+step)
		if n, _ := fmt.Sscanf(after, "%d %%, %f of %f MiB", &percent, &done, &total); step != "" && (n != 3 || total == 0) {
			p.t.Errorf("domsnap %s: no progress of %q in %q", strings.Join(args, " "), step, said)
		}
	}
	if said != "" && !strings.HasSuffix(said, "\r\x1b[K") {
		p.t.Errorf("domsnap %s leaves %q", strings.Join(args, " "), said)
	}
}

// onTerminal runs what has to succeed with its standard error on a pseudo-terminal, and gives what that gets.
func (p *program) onTerminal(args ...string) string {
	p.t.Helper()
	screen, terminal := openTerminal(p.t)
	defer screen.Close()
	// Of two values of an option the second counts.
	cmd := p.Command(p.t.Context(), append([]string{"-o", "table"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, terminal
	err := cmd.Start()
	check(p.t, terminal.Close())
	check(p.t, err)
	// It ends with EIO, when nobody has the terminal any more.
	said, _ := io.ReadAll(screen)
	if err := cmd.Wait(); err != nil {
		p.t.Fatalf("domsnap %s: %v: %s", strings.Join(args, " "), err, said)
	}
	if bytes.ContainsRune(out.Bytes(), '\x1b') {
		p.t.Errorf("domsnap %s prints %q", strings.Join(args, " "), out.Bytes())
	}
	return string(said)
}

// openTerminal makes a pseudo-terminal: what is written to the one is read from the other.
func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	check(t, unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	check(t, err)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	return screen, terminal
}
