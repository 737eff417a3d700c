package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/export"
)

const size = 3<<20 + 512

// content is a disk in memory.
type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

// older and newer are a disk at two times. A piece of it that lies across the ends of clusters has changed, and a cluster
// and a half has become zero.
func older() []byte {
	b := make([]byte, size)
	copy(b[1<<20:], bytes.Repeat([]byte("domsnap "), 64<<10))
	copy(b[size-512:], bytes.Repeat([]byte("end "), 128))
	return b
}

func newer() []byte {
	b := older()
	copy(b[64<<10-100:], bytes.Repeat([]byte("now "), 50))
	clear(b[1<<20+64<<10 : 1<<20+160<<10])
	return b
}

func changed() []methods.Extent {
	return []methods.Extent{{Offset: 64<<10 - 100, Length: 200}, {Offset: 1<<20 + 64<<10, Length: 96 << 10}}
}

func fileOf(t *testing.T, b []byte, format string) export.File {
	t.Helper()
	return export.File{Path: filepath.Join(t.TempDir(), "out"), Format: format, Content: content{bytes.NewReader(b)}}
}

func written(t *testing.T, f export.File) int64 {
	t.Helper()
	n, err := f.Write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("run %s %q: %v\n%s", name, args, err, out)
	}
}

// wantContent reads the file as qemu-img does.
func wantContent(t *testing.T, path, format string, want []byte) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "raw")
	run(t, "qemu-img", "convert", "-f", format, "-O", "raw", path, out)
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s holds something else (%d bytes of %d)", path, len(got), len(want))
	}
}

// wantFiles: the directory of the file has these.
func wantFiles(t *testing.T, f export.File, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(f.Path))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the directory: %s", diff)
	}
}

func TestWholeDiskKeepsItsHoles(t *testing.T) {
	for _, format := range []string{export.Raw, export.Qcow2} {
		f := fileOf(t, older(), format)
		if n := written(t, f); n > 600<<10 {
			t.Errorf("%s: %d bytes were written", format, n)
		}
		wantContent(t, f.Path, format, older())
		wantFiles(t, f, "out")
		var st unix.Stat_t
		if err := unix.Stat(f.Path, &st); err != nil || st.Mode&0o777 != 0o600 || st.Blocks*512 > 2<<20 {
			t.Errorf("%s: mode %o, %d blocks, %v", format, st.Mode, st.Blocks, err)
		}
	}
}

func TestChangesOfARawFileAreListed(t *testing.T) {
	f := fileOf(t, newer(), export.Raw)
	f.Partial, f.Changed = true, changed()
	written(t, f)
	wantFiles(t, f, "out", "out"+export.ExtentsSuffix)
	text, err := os.ReadFile(f.Path + export.ExtentsSuffix)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Size    int64            `json:"size"`
		Extents []methods.Extent `json:"extents"`
	}
	if err := json.Unmarshal(text, &list); err != nil || list.Size != size {
		t.Errorf("%s: %v", text, err)
	}
	if diff := cmp.Diff(changed(), list.Extents); diff != "" {
		t.Error(diff)
	}
	part, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	onto := older()
	for _, e := range list.Extents {
		copy(onto[e.Offset:e.End()], part[e.Offset:e.End()])
	}
	if len(part) != size || !bytes.Equal(onto, newer()) {
		t.Error("put onto the older content it is not the newer one")
	}
}

// TestChangesOfAQcow2FileAreAnOverlay: also what has become zero is in it, and a cluster of which a part has changed.
func TestChangesOfAQcow2FileAreAnOverlay(t *testing.T) {
	f := fileOf(t, newer(), export.Qcow2)
	f.Partial, f.Changed = true, changed()
	if n := written(t, f); n != 4*64<<10 {
		t.Errorf("%d bytes were written", n)
	}
	base := filepath.Join(t.TempDir(), "base")
	if err := os.WriteFile(base, older(), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-img", "rebase", "-u", "-f", "qcow2", "-b", base, "-F", "raw", f.Path)
	wantContent(t, f.Path, "qcow2", newer())
	run(t, "qemu-img", "commit", "-q", "-f", "qcow2", f.Path)
	wantContent(t, base, "raw", newer())
}

func TestNothingChangedIsAFileOfHoles(t *testing.T) {
	for format, files := range map[string][]string{export.Raw: {"out", "out" + export.ExtentsSuffix}, export.Qcow2: {"out"}} {
		f := fileOf(t, newer(), format)
		f.Partial = true
		if n := written(t, f); n != 0 {
			t.Errorf("%s: %d bytes were written", format, n)
		}
		wantFiles(t, f, files...)
	}
}

func TestWhatIsThereIsNotTouched(t *testing.T) {
	for _, name := range []string{"", export.ExtentsSuffix} {
		f := fileOf(t, newer(), export.Raw)
		if err := os.WriteFile(f.Path+name, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(t.Context()); !errors.Is(err, methods.ErrExists) {
			t.Errorf("%q: %v", name, err)
		}
		if text, err := os.ReadFile(f.Path + name); string(text) != "mine" {
			t.Errorf("%q is %q now, %v", name, text, err)
		}
		wantFiles(t, f, "out"+name)
	}
}

// failing is a disk that cannot be read to its end.
type failing struct {
	content
	err error
}

func (f failing) ReadAt(p []byte, at int64) (int, error) {
	if at < 1<<20 {
		return f.content.ReadAt(p, at)
	}
	return 0, f.err
}

func TestExportThatFailsLeavesNothing(t *testing.T) {
	for _, format := range []string{export.Raw, export.Qcow2} {
		f := fileOf(t, newer(), format)
		f.Content = failing{content{bytes.NewReader(newer())}, io.ErrClosedPipe}
		if _, err := f.Write(t.Context()); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", format, err)
		}
		wantFiles(t, f)
		ctx, cancel := context.WithCancel(t.Context())
		f.Content, f.Progress = content{bytes.NewReader(newer())}, func(int64, int64) { cancel() }
		if _, err := f.Write(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", format, err)
		}
		wantFiles(t, f)
	}
	f := fileOf(t, newer(), "vmdk")
	if _, err := f.Write(t.Context()); !errors.Is(err, methods.ErrUnsupported) {
		t.Error(err)
	}
	wantFiles(t, f)
}

// TestWhatAKilledExportLeftIsInNobodysWay: what another one writes just now is left alone.
func TestWhatAKilledExportLeftIsInNobodysWay(t *testing.T) {
	f := fileOf(t, newer(), export.Raw)
	f.Partial, f.Changed = true, changed()
	left, err := os.Create(f.Path + ".domsnap-partial")
	if err == nil {
		_, err = left.WriteString("half")
	}
	err = errors.Join(err, os.WriteFile(f.Path+export.ExtentsSuffix, []byte("{}"), 0o600), unix.Flock(int(left.Fd()), unix.LOCK_EX))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(t.Context()); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("while another one writes: %v", err)
	}
	wantFiles(t, f, "out.domsnap-partial", "out"+export.ExtentsSuffix)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	written(t, f)
	wantFiles(t, f, "out", "out"+export.ExtentsSuffix)
}
