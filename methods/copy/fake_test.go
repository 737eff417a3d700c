package fullcopy_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	fullcopy "github.com/domsnap/domsnap/methods/copy"
)

const (
	diskSize = 8 << 20
	uuid     = "7a5c8c1e-0000-4000-8000-000000000001"
)

// hypervisor copies as QEMU does: it writes zeroes out.
type hypervisor struct {
	source  string
	busy    error
	failing error
	begun   []fullcopy.Target
	aborted []string
}

func (h *hypervisor) Capacity(context.Context, string, string) (int64, error) {
	return diskSize, h.busy
}

func (h *hypervisor) ReadyBackup(_ context.Context, _ string, targets []fullcopy.Target) (fullcopy.Backup, error) {
	return &backup{hypervisor: h, targets: targets}, nil
}

func (h *hypervisor) AbortBackup(_ context.Context, _, file string) error {
	h.aborted = append(h.aborted, file)
	return nil
}

type backup struct {
	*hypervisor
	targets []fullcopy.Target
	content []byte
}

func (b *backup) Begin(context.Context) (err error) {
	b.begun = b.targets
	b.content, err = os.ReadFile(b.source)
	return err
}

func (b *backup) Wait(_ context.Context, progress methods.Progress) error {
	for _, t := range b.targets {
		f, err := os.OpenFile(t.File, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(b.content)
		// The last quarter is allocated and never written, as QEMU leaves a hole.
		allocate := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_ZERO_RANGE, diskSize*3/4, diskSize/4)
		if errors.Is(allocate, unix.EOPNOTSUPP) {
			allocate = nil
		}
		if err := errors.Join(err, allocate, f.Close()); err != nil {
			return err
		}
	}
	progress.Report(diskSize, diskSize)
	return b.failing
}

func (*backup) Close() error { return nil }

// stage is a disk of a domain and the method.
type stage struct {
	t          *testing.T
	hypervisor *hypervisor
	method     *fullcopy.Method
	disk       methods.Disk
	home       string
}

// newStage has a raw file with data in two places and zeroes written into a third.
func newStage(t *testing.T, active bool) *stage {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "disk.img")
	f, err := os.Create(file)
	must(t, err)
	must(t, f.Truncate(diskSize))
	for at, data := range map[int64][]byte{0: random(100_000), 3 << 20: make([]byte, 1<<20), 5<<20 + 512: random(70_000)} {
		_, err := f.WriteAt(data, at)
		must(t, err)
	}
	must(t, f.Close())
	s := &stage{t: t, hypervisor: &hypervisor{source: file}, home: filepath.Join(dir, "state")}
	s.method = fullcopy.New(fullcopy.Config{Hypervisor: s.hypervisor, Run: command.Host{}, Dir: filepath.Join(s.home, "copies")})
	s.disk = methods.Disk{
		Domain: methods.Domain{Name: "web1", UUID: uuid, Active: active},
		Target: "vda", Format: "raw", Source: methods.Source{File: file},
	}
	return s
}

func random(n int) []byte {
	data := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(data)
	return data
}

func (s *stage) plan(id string) methods.Ref {
	s.t.Helper()
	ref, err := s.method.Plan(s.t.Context(), methods.PlanRequest{Disk: s.disk, ID: id})
	must(s.t, err)
	return ref
}

func (s *stage) take(id string) methods.Ref {
	s.t.Helper()
	ref := s.plan(id)
	must(s.t, s.method.Take(s.t.Context(), ref))
	return ref
}

func (s *stage) drop(ref methods.Ref) {
	s.t.Helper()
	must(s.t, s.method.Drop(s.t.Context(), methods.DropRequest{Ref: ref, Disk: s.disk}))
}

// wantCopy compares the copy with what the disk held.
func (s *stage) wantCopy(ref methods.Ref, want []byte) {
	s.t.Helper()
	c, err := s.method.Open(s.t.Context(), ref)
	must(s.t, err)
	got := make([]byte, c.Size())
	_, err = c.ReadAt(got, 0)
	if err != nil || !bytes.Equal(got, want) {
		s.t.Errorf("the copy differs: %v", err)
	}
	must(s.t, c.Close())
}

// spec is a descriptor's body.
type spec string

func (s spec) Decode(into any) error      { return xml.Unmarshal([]byte(s), into) }
func (spec) MarshalJSON() ([]byte, error) { return nil, errors.New("there is no engine") }

func at(dir string) spec {
	return spec(fmt.Sprintf("<diskSnapshot><directory path='%s'/></diskSnapshot>", dir))
}

func qemuTool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("run %s %q: %v\n%s", name, args, err, out)
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return data
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}
