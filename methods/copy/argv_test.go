package fullcopy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/argv"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/image"
)

var qemuImgGrammar = argv.Grammar{Bare: []string{"--backing-chain", "-p", "-n", "--target-is-zero"}, Valued: []string{"--output", "-O"}}

// openFile is the copy by no name at all.
var openFile = regexp.MustCompile(`\A/proc/[0-9]+/fd/[0-9]+\z`)

// TestHostileNamesOfDisks: whatever a disk, a domain and a directory are called, qemu-img gets one json: name and the
// path of the copy, or is not run.
func TestHostileNamesOfDisks(t *testing.T) {
	r := &argv.Recorder{T: t, Grammars: map[string]argv.Grammar{qemuImg: qemuImgGrammar}}
	m, ctx, ran := New(Config{Run: r, Dir: filepath.Join(t.TempDir(), "copies")}), t.Context(), 0
	r.Output = func(argv.Call) []byte { return []byte(`[{"virtual-size":1048576,"actual-size":4096}]`) }
	target, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	for name := range argv.Names(25_000) {
		r.Calls = nil
		for _, disk := range []methods.Disk{
			{Target: "vda", Format: raw, Source: methods.Source{File: "/no/such/" + name}},
			{Target: name, Format: raw, Source: methods.Source{Dev: "/dev/x"}},
			{Target: "vda", Format: raw, Source: methods.Source{Dev: "/dev/" + name}, Domain: methods.Domain{Name: name, UUID: "6f1d2c3b-0000-4000-8000-000000000001"}},
			{Target: "vda", Format: raw, Source: methods.Source{Network: &methods.NetworkSource{Protocol: "nbd", Name: name, Host: name}}, Domain: methods.Domain{UUID: name}},
		} {
			ref, err := m.Plan(ctx, methods.PlanRequest{Disk: disk, ID: "sone"})
			if err == nil && checkName(ref) == nil {
				_ = m.convert(ctx, openCopy{ref: ref, file: target}, command.Percent{})
			}
			ref = methods.Ref{Snapshot: "sone", Disk: disk, Name: name}
			if p := (&prepared{Method: m}); p.create(ref) == nil {
				t.Errorf("a copy was made as %q", name)
			}
			if _, err := m.Stat(ctx, ref); err == nil {
				t.Errorf("%q is a copy", name)
			}
		}
		for _, c := range r.Calls {
			ran++
			checkCall(t, c)
		}
		if t.Failed() {
			t.Fatalf("by %q", name)
		}
	}
	if ran < 25_000 {
		t.Errorf("only %d commands were run", ran)
	}
	if _, err := os.Lstat(m.Dir); err == nil {
		t.Error("planning made something")
	}
}

func checkCall(t *testing.T, c argv.Call) {
	t.Helper()
	if len(c.Rest) < 2 || !strings.HasPrefix(c.Rest[1], "json:{") {
		t.Fatalf("%+v", c)
	}
	switch rest := c.Rest[2:]; {
	case c.Rest[0] == "info" && len(rest) == 0:
	case c.Rest[0] == "convert" && len(rest) == 1 && openFile.MatchString(rest[0]):
	default:
		t.Errorf("%+v", c)
	}
}

// TestNameOfACopyIsOnePath is about what a record says.
func TestNameOfACopyIsOnePath(t *testing.T) {
	for name := range argv.Names(100_000) {
		ref := methods.Ref{Snapshot: "sone", Disk: methods.Disk{Target: "vda"}, Name: "/" + name + "/ds-sone-vda.raw"}
		if checkName(ref) != nil {
			continue
		}
		if filepath.Clean(ref.Name) != ref.Name || !strings.HasSuffix(partial(ref), "/ds-sone-vda.raw.partial") {
			t.Fatalf("%q", ref.Name)
		}
		if _, err := (image.Image{Source: methods.Source{File: ref.Name}, Format: raw}).QEMUName(t.Context(), true); err == nil && strings.Contains(ref.Name, "\xff") {
			t.Fatalf("%q", ref.Name)
		}
	}
}
