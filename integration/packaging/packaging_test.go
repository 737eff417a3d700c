// Package packaging builds packages of domsnap for Debian, and of the kind RPM.
package packaging

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// units are moved by debian/rules to where debhelper wants them.
const units = "usr/lib/systemd/system"

// TestEveryInstalledFileIsInAPackage: what make install installs, the packages list, and the other way round.
func TestEveryInstalledFileIsInAPackage(t *testing.T) {
	debian := append(lines(t, "debian/domsnap.install"), lines(t, "debian/domsnap-rbd.install")...)
	wantListed(t, installed(t, "ZSHDIR=/usr/share/zsh/vendor-completions"), append(debian, units))
	wantListed(t, installed(t), specFiles(t))
}

// installed are the files that make install makes, without the slash in front.
func installed(t *testing.T, more ...string) []string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("make", append([]string{"-C", "../..", "install", "DESTDIR=" + dir, "PREFIX=/usr"}, more...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make install: %v: %s", err, out)
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// specFiles are the paths of the spec's lists; what only the spec installs is not among them.
func specFiles(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("domsnap.spec")
	if err != nil {
		t.Fatal(err)
	}
	_, lists, _ := strings.Cut(string(text), "\n%files\n")
	var all []string
	for _, word := range strings.Fields(lists) {
		if strings.HasPrefix(word, "/") && word != "/usr/share/doc/domsnap" {
			all = append(all, word[1:])
		}
	}
	return all
}

func wantListed(t *testing.T, files, listed []string) {
	t.Helper()
	used := map[string]bool{}
	for _, file := range files {
		found := false
		for _, l := range listed {
			if match, err := filepath.Match(l, file); match && err == nil || strings.HasPrefix(file, l+"/") {
				used[l], found = true, true
			}
		}
		if !found {
			t.Errorf("no package has %s", file)
		}
	}
	for _, l := range listed {
		if !used[l] {
			t.Errorf("nothing of %s is installed", l)
		}
	}
}
