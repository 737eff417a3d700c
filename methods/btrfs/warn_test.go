package btrfs

import (
	"os"
	"path/filepath"
	"testing"
)

// TestQuotasAreTold as kernels of different ages tell of them.
func TestQuotasAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"off":           {nil, false},
		"on, 5.9":       {map[string]string{"qgroups/0_5/limit_flags": "0\n"}, true},
		"on, 6.7":       {map[string]string{"qgroups/mode": "qgroup\n"}, true},
		"simple ones":   {map[string]string{"qgroups/mode": "squota\n"}, false},
		"off, told so":  {map[string]string{"qgroups/mode": "disabled\n"}, false},
		"features only": {map[string]string{"features/quota": "1\n"}, false},
	} {
		dir := t.TempDir()
		for file, text := range c.files {
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := countsShares(dir); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
