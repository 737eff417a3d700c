package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// testHypervisor is libvirt's own test driver: no daemon, no guest, one running domain without disks, called test.
const testHypervisor = "test:///default"

// outcome is a run of the program.
type outcome struct {
	code        int
	out, errors string
	verbose     int
}

// invoke is run, with buffers in the place of the terminal.
func invoke(t *testing.T, args ...string) outcome {
	t.Helper()
	var out, errors bytes.Buffer
	ui := &ui{out: &out, err: &errors}
	app := newApp(ui)
	full := append([]string{"domsnap", "--state-dir", t.TempDir(), "-c", testHypervisor}, args...)
	code := ui.finish(app.RunContext(t.Context(), permute(app, full)))
	return outcome{code, out.String(), errors.String(), ui.verbose}
}

func TestWrongUsageIsOneLineAndCodeTwo(t *testing.T) {
	for _, line := range []string{
		"no-such-command",
		"snapshot-list",
		"snapshot-list test more",
		"snapshot-list test --state gone",
		"snapshot-list test --no-such-option",
		"--no-such-option snapshot-list test",
		"-o yaml snapshot-list test",
		"snapshot-create",
		"snapshot-create-as test one two",
		"snapshot-create-as test --quiesce perhaps",
		"snapshot-create-as test --freeze-timeout 0s",
		"snapshot-create-as test --freeze-timeout 2m",
		"snapshot-create-as test --freeze-timeout soon",
		"snapshot-create-as test --lease 1h",
		"snapshot-create-as test --temporary --lease 0s",
		"snapshot-create-as test --diskspec vda,method",
		"snapshot-create test /no/such/file",
		"snapshot-revert test one --running --off",
		"snapshot-revert test one --at-shutdown --force",
		"snapshot-revert test one --cancel --force",
		"snapshot-revert test one --cancel --at-shutdown",
		"disk-revert test vda one --cancel --dry-run",
		"disk-revert test vda",
		"snapshot-revert test one --map vda",
		"snapshot-export test one",
		"snapshot-export test --disk vda --file out",
		"snapshot-export test one --disk vda",
		"snapshot-export test one --disk vda --nbd /run/socket",
		"snapshot-export test one --disk vda --nbd unix:",
		"snapshot-export test one --disk vda --nbd unix:/run/socket --file out",
		"snapshot-export test one --disk vda --nbd unix:/run/socket --format raw",
		"snapshot-export test one --disk vda --file out --format vmdk",
		"snapshot-replicate test one",
		"snapshot-replicate test --to /backup",
		"snapshot-replicate test one --to backup",
		"snapshot-replicate test one --to ssh://-oProxyCommand=x/backup",
		"snapshot-replicate test one --to ssh://user:secret@host/backup",
		"replica-list",
		"replica-list /",
		"replica-delete /backup test",
		"replica-export /tmp test one --disk vda",
		"replica-export /tmp test one --disk vda --file out --format vmdk",
		"replica-copy /tmp test one",
		"replica-prune /tmp test",
		"replica-forget test",
		"replica-serve backup",
		"check test --adopt sone",
		"check --repair --adopt sone",
		"recover test more",
	} {
		t.Run(line, func(t *testing.T) {
			got := invoke(t, strings.Fields(line)...)
			if got.code != 2 || got.out != "" {
				t.Errorf("it ended with %d and printed %q", got.code, got.out)
			}
			if !strings.HasPrefix(got.errors, "domsnap: ") || strings.Count(got.errors, "\n") != 1 {
				t.Errorf("it said %q", got.errors)
			}
		})
	}
}

func TestErrorWithJSONIsOneDocument(t *testing.T) {
	for line, code := range map[string]int{
		"snapshot-list":                       2,
		"no-such-command":                     2,
		"snapshot-list test --no-such-option": 2,
		"--no-such-option snapshot-list":      2,
		"snapshot-list none":                  3,
		"snapshot-info test none":             3,
		"snapshot-prune test":                 2,

		"snapshot-export test none --disk vda --file /nowhere/out": 3,
		"snapshot-create-as test --shield":                         6,
	} {
		for _, args := range []string{"-o json " + line, line + " -o json", line + " --output=json"} {
			t.Run(args, func(t *testing.T) {
				got := invoke(t, strings.Fields(args)...)
				var document struct {
					Error *struct {
						Code    int
						Message string
						Hint    *string
					}
				}
				if err := json.Unmarshal([]byte(got.out), &document); err != nil {
					t.Fatalf("it printed %q: %v", got.out, err)
				}
				e := document.Error
				if e == nil || e.Code != code || got.code != code || e.Message == "" || e.Hint == nil {
					t.Errorf("it ended with %d and printed %s", got.code, got.out)
				}
				if got.errors != "" {
					t.Errorf("it said %q as well", got.errors)
				}
			})
		}
	}
}

func TestVerboseIsCounted(t *testing.T) {
	for line, want := range map[string]int{
		"methods": 0, "-v methods": 1, "methods -v": 1, "-v -v methods": 2, "methods -v -v": 2, "--verbose methods --verbose": 2,
	} {
		if got := invoke(t, strings.Fields(line)...).verbose; got != want {
			t.Errorf("%q is verbose %d times, want %d", line, got, want)
		}
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	got := invoke(t, "--help")
	if got.code != 0 || got.errors != "" {
		t.Errorf("it ended with %d and said %q", got.code, got.errors)
	}
	for _, name := range []string{
		"disks", "methods", "snapshot-create", "snapshot-create-as", "snapshot-list", "snapshot-info", "snapshot-current", "snapshot-parent",
		"snapshot-dumpxml", "snapshot-revert", "disk-revert", "snapshot-delete", "snapshot-source", "recover",
	} {
		if !strings.Contains(got.out, "  "+name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
	if strings.Contains(got.out, guardianVerb) {
		t.Error("the guardian is shown")
	}
}

func TestHelpOfACommandNamesItsOptions(t *testing.T) {
	for _, args := range [][]string{{"snapshot-list", "--help"}, {"snapshot-list", "test", "--help"}, {"-v", "snapshot-list", "-h"}} {
		got := invoke(t, args...)
		if got.code != 0 || !strings.Contains(got.out, "--tree") {
			t.Errorf("%q ended with %d and printed %q", args, got.code, got.out)
		}
	}
}

func TestVersion(t *testing.T) {
	if got := invoke(t, "--version"); got.code != 0 || !strings.Contains(got.out, version) {
		t.Errorf("it ended with %d and printed %q", got.code, got.out)
	}
}

func TestDomainWithoutSnapshots(t *testing.T) {
	for _, c := range []struct {
		line, out string
		code      int
	}{
		{"snapshot-list test -o json", "[]\n", 0},
		{"snapshot-list test --name", "", 0},
		{"snapshot-list test --tree", "", 0},
		{"recover test -o json", "{\"domains\":[]}\n", 0},
		{"recover -o json", "{\"domains\":[]}\n", 0},
		{"recover --dry-run -o json", "{\"plan\":{\"steps\":[]}}\n", 0},
		{"recover test --dry-run", "", 0},
		{"recover none --dry-run", "", 3},
		{"snapshot-current test", "", 3},
		{"snapshot-info test none", "", 3},
		{"snapshot-delete test none", "", 3},
		{"snapshot-revert test none", "", 3},
		{"snapshot-create-as test one", "", 6},
		{"snapshot-create-as none one", "", 3},
	} {
		if got := invoke(t, strings.Fields(c.line)...); got.code != c.code || got.out != c.out {
			t.Errorf("%q ended with %d, printed %q and said %q", c.line, got.code, got.out, got.errors)
		}
	}
}
