package command_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

func TestProgramThatIsNotThereIsUnsupported(t *testing.T) {
	for name, want := range map[string]bool{"no-such-program": true, "false": false, "true": false} {
		_, err := command.Host{}.Run(t.Context(), name)
		if errors.Is(err, methods.ErrUnsupported) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorSaysTheLastLineOrAll(t *testing.T) {
	_, err := command.Host{}.Run(t.Context(), "ls", "/no/such/file")
	var failed *command.Error
	if !errors.As(err, &failed) || failed.ExitCode() < 1 {
		t.Fatalf("%v", err)
	}
	if short, long := failed.Error(), failed.Stderr; short == "" || long == "" || len(short) < len("run ls: ") {
		t.Errorf("%q, %q", short, long)
	}
}

func TestJSONKeepsTextsOrFails(t *testing.T) {
	for text, ok := range map[string]bool{"": true, "é": true, "\ufffd": true, `\ufffd`: true, `\\ufffd`: true, "\xff": false, "a\\\xff": false, "\xc3": false, "a\n\x00": true} {
		out, err := command.JSON(map[string]string{"a": text})
		if (err == nil) != ok {
			t.Errorf("%q is %s, %v", text, out, err)
		}
	}
}

func TestProgramThatLeavesADaemonHasEnded(t *testing.T) {
	out, err := command.Host{}.Run(t.Context(), "sh", "-c", "sleep 30 & echo $!")
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(out))
	// Of one that has ended there is nothing, or nothing to be read.
	if daemon, _ := os.ReadFile("/proc/" + pid + "/cmdline"); !strings.HasPrefix(string(daemon), "sleep\x00") {
		t.Errorf("the daemon %q was waited for", pid)
	}
	if _, err := (command.Host{}).Run(t.Context(), "kill", pid); err != nil {
		t.Error(err)
	}
}
