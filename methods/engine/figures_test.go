package engine

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// noop is the least an engine in Python is.
const noop = `#!/usr/bin/python3
import json, sys
sys.stdin.readline()
print('{"protocol":1,"traits":{"summary":"does nothing","take_cost":"nothing","revert_cost":"size"},"verbs":{}}', flush=True)
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "result": {}}), flush=True)
`

// TestTakeRoundTrip prints what the pipe adds to an act while the guest is held.
func TestTakeRoundTrip(t *testing.T) {
	python := File{Name: "noop", Path: t.TempDir() + "/" + Prefix + "noop"}
	must(t, os.WriteFile(python.Path, []byte(noop), 0o755))
	for _, e := range []struct {
		what string
		file File
	}{{"Python", python}, {"Go", place(t, "without-prepare")}} {
		m := Load(t.Context(), e.file, DefaultLimits())
		if m.broken != nil {
			t.Fatal(m.broken)
		}
		var starts, takes, ends []time.Duration
		for range 50 {
			start := time.Now()
			ready, err := m.Prepare(t.Context(), []methods.Ref{testRef()})
			must(t, err)
			prepared := time.Now()
			must(t, ready.Take(t.Context()))
			took := time.Now()
			must(t, ready.Close(t.Context()))
			starts, takes, ends = append(starts, prepared.Sub(start)), append(takes, took.Sub(prepared)), append(ends, time.Since(took))
		}
		t.Logf("%s: take %v in the median, %v in nine of ten, %v at most; before the window %v, after it %v", e.what,
			share(takes, 0.5), share(takes, 0.9), slices.Max(takes), share(starts, 0.5), share(ends, 0.5))
	}
}

// share is what this part of them took at most.
func share(all []time.Duration, part float64) time.Duration {
	return slices.Sorted(slices.Values(all))[int(float64(len(all)-1)*part)].Round(time.Microsecond)
}
