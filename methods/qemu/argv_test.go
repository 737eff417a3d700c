package qemu

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/argv"
)

// qemuImgGrammars are those of the commands of qemu-img that are used.
var qemuImgGrammars = map[string]argv.Grammar{
	"qemu-img info":     {Bare: []string{"-U"}, Valued: []string{"--output", "-f"}},
	"qemu-img map":      {Bare: []string{"-U"}, Valued: []string{"--output", "-f"}},
	"qemu-img create":   {Bare: []string{"-q"}, Valued: []string{"-f", "-F", "-b"}},
	"qemu-img rebase":   {Bare: []string{"-u"}, Valued: []string{"-f", "-F", "-b"}},
	"qemu-img commit":   {Bare: []string{"-p", "-d"}, Valued: []string{"-f"}},
	"qemu-img check":    {Bare: []string{"-q"}, Valued: []string{"-f", "-r"}},
	"qemu-img snapshot": {Valued: []string{"-c", "-a", "-d"}},
}

// byCommand tells a recorder the command with the program.
type byCommand struct{ *argv.Recorder }

func (r byCommand) Run(ctx context.Context, program string, args ...string) ([]byte, error) {
	r.T.Helper()
	return r.Recorder.Run(ctx, program+" "+args[0], args[1:]...)
}

// isProtocol is how QEMU tells a protocol from a path: by a colon before the first slash.
func isProtocol(name string) bool {
	at := strings.IndexAny(name, ":/")
	return at >= 0 && name[at] == ':' || !filepath.IsAbs(name)
}

// openFile is an image by no name at all.
var openFile = regexp.MustCompile(`\A/proc/[a-z0-9]+/fd/[0-9]+\z`)

// TestHostileNamesOfImages: whatever a path, a format and a snapshot are called, qemu-img gets just these, or is not run.
func TestHostileNamesOfImages(t *testing.T) {
	r := &argv.Recorder{T: t, Grammars: qemuImgGrammars}
	i, ctx, ran := images{byCommand{r}}, t.Context(), 0
	overlay := filepath.Join(t.TempDir(), "overlay")
	for name := range argv.Names(50_000) {
		for _, path := range []string{name, "/no/such/" + name} {
			r.Calls = nil
			img, other := Image{path, qcow2}, Image{"/no/such/base", raw}
			// Nothing is there, so they fail where the file is looked at.
			_, _ = i.info(ctx, img)
			_, _ = i.info(ctx, Image{other.Path, name})
			_ = i.unused(ctx, img)
			_, _ = i.mapped(ctx, layer{Image: img})
			_ = i.commit(ctx, merging{img: img, into: other})
			if ran < 20_000 {
				// Each is written out, which takes its time.
				_ = i.create(ctx, overlay, img, os.DevNull)
				_ = os.Remove(overlay)
			}
			_ = i.rebase(ctx, img, other)
			_ = i.rebase(ctx, other, img)
			_ = i.repair(ctx, path)
			_ = i.createInside(ctx, path, "ds-sone-vda")
			_ = i.applyInside(ctx, other.Path, name)
			_ = i.removeInside(ctx, other.Path, name)
			for _, c := range r.Calls {
				ran++
				checkImageCall(t, c, path, name)
			}
		}
		if t.Failed() {
			t.Fatalf("by %q", name)
		}
	}
	if ran < 100_000 {
		t.Errorf("only %d commands were run", ran)
	}
}

func checkImageCall(t *testing.T, c argv.Call, path, name string) {
	t.Helper()
	if len(c.Rest) != 1 {
		t.Fatalf("%s has the arguments %q", c.Program, c.Rest)
	}
	files := c.Options["-b"]
	if !openFile.MatchString(c.Rest[0]) {
		files = append(files, c.Rest[0])
	}
	for _, file := range files {
		if isProtocol(file) || file != path && file != "/no/such/base" {
			t.Errorf("%s has the file %q of %q", c.Program, file, path)
		}
	}
	for _, option := range []string{"-f", "-F"} {
		for _, format := range c.Options[option] {
			if format != qcow2 && format != raw && format != name {
				t.Errorf("%s has the format %q", c.Program, format)
			}
		}
	}
}
