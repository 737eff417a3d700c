package fullcopy_test

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/methodtest"
)

// TestHostileImages: nothing of a file that an image names comes into a copy.
func TestHostileImages(t *testing.T) {
	canary := methodtest.NewCanary(t, 1<<20)
	for _, h := range methodtest.HostileImages(t, canary) {
		t.Run(h.Name, func(t *testing.T) {
			s, start := newStage(t, false), time.Now()
			s.disk = h.Disk
			s.disk.Domain.UUID = uuid
			ref, err := s.method.Plan(t.Context(), methods.PlanRequest{Disk: s.disk, ID: "aaaa"})
			if err == nil {
				err = s.method.Take(t.Context(), ref)
			}
			if h.Disk.Format == "raw" && err != nil {
				t.Errorf("a raw disk is copied as it is, and not %v", err)
			}
			if err == nil {
				wantNoCanary(t, ref.Name)
				s.drop(ref)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	canary.Check()
}

func wantNoCanary(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	// A copy of a petabyte is a hole but for its beginning.
	content, err := io.ReadAll(io.LimitReader(f, 8<<20))
	must(t, err)
	if strings.Contains(string(content), methodtest.CanaryText) {
		t.Error("the canary is in it")
	}
}
