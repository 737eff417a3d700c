package fullcopy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	fullcopy "github.com/domsnap/domsnap/methods/copy"
)

func TestPlanNamesTheCopy(t *testing.T) {
	s := newStage(t, false)
	ref := s.plan("aaaa")
	want := filepath.Join(filepath.Dir(s.disk.Source.File), ".domsnap-copies", uuid, "ds-aaaa-vda.raw")
	if ref.Name != want || ref.Origin != s.disk.Source.File || ref.Size != diskSize || ref.Mode != "" {
		t.Errorf("%+v", ref)
	}
	if again := s.plan("aaaa"); again.Name != ref.Name || again.Size != ref.Size {
		t.Errorf("another answer to the same request: %+v", again)
	}
	if entries, err := os.ReadDir(filepath.Dir(s.disk.Source.File)); err != nil || len(entries) != 1 {
		t.Errorf("planning changed something: %v, %v", entries, err)
	}
}

func TestDirectories(t *testing.T) {
	s := newStage(t, true)
	named := t.TempDir()
	must(t, os.Chmod(named, 0o755))
	open := filepath.Join(t.TempDir(), "open")
	must(t, os.Mkdir(open, 0o700))
	must(t, os.Chmod(open, 0o777))
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(named, link))
	device := methods.Source{Dev: "/dev/vg0/lv"}
	for name, c := range map[string]struct {
		source methods.Source
		spec   methods.Spec
		dir    string
		err    error
	}{
		"device":      {source: device, dir: filepath.Join(s.home, "copies", uuid)},
		"named":       {source: device, spec: at(named), dir: named},
		"relative":    {source: device, spec: at("copies"), err: methods.ErrUnsupported},
		"not clean":   {source: device, spec: at(named + "/../x"), err: methods.ErrUnsupported},
		"missing":     {source: device, spec: at(named + "/none"), err: methods.ErrBlocked},
		"everybody's": {source: device, spec: at(open), err: methods.ErrBlocked},
		"a link":      {source: device, spec: at(link), err: methods.ErrBlocked},
	} {
		disk := s.disk
		disk.Source = c.source
		ref, err := s.method.Plan(t.Context(), methods.PlanRequest{Disk: disk, ID: "aaaa", Spec: c.spec})
		if !errors.Is(err, c.err) || err == nil && filepath.Dir(ref.Name) != c.dir {
			t.Errorf("%s: %+v, %v", name, ref, err)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	foreign := &methods.Blocked{What: "a backup runs", Hint: "wait"}
	for name, c := range map[string]struct {
		active bool
		change func(*stage)
		want   error
	}{
		"foreign job":   {true, func(s *stage) { s.hypervisor.busy = foreign }, methods.ErrBlocked},
		"copy is there": {false, func(s *stage) { s.take("aaaa") }, methods.ErrExists},
		"no format":     {false, func(s *stage) { s.disk.Format = "" }, methods.ErrUnsupported},
		"secret": {false, func(s *stage) {
			s.disk.Source = methods.Source{Network: &methods.NetworkSource{Protocol: "nbd", Secured: true}}
		}, methods.ErrUnsupported},
		"no driver": {false, func(s *stage) { s.disk.Source = methods.Source{Other: "nvme"} }, methods.ErrUnsupported},
		"no room": {false, func(s *stage) {
			s.method.Run = transcript(`[{"virtual-size": 4611686018427387904}]`)
		}, methods.ErrBlocked},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, c.active)
			c.change(s)
			_, err := s.method.Plan(t.Context(), methods.PlanRequest{Disk: s.disk, ID: "aaaa"})
			wantError(t, err, c.want)
		})
	}
}

// transcript answers every program the same.
type transcript string

func (a transcript) Run(context.Context, string, ...string) ([]byte, error) { return []byte(a), nil }

func TestRoomIsWhatIsAllocated(t *testing.T) {
	s := newStage(t, false)
	for answer, fits := range map[string]bool{
		`[{"virtual-size": 4611686018427387904, "actual-size": 4096}]`:                                            true,
		`[{"virtual-size": 4611686018427387904, "actual-size": 1}, {"actual-size": 4611686018427387000}]`:         false,
		`[{"virtual-size": 4096, "actual-size": 4611686018427387000}, {"virtual-size": 4096, "actual-size": 10}]`: true,
		`[]`:   false,
		`what`: false,
	} {
		s.method.Run = transcript(answer)
		if _, err := s.method.Plan(t.Context(), methods.PlanRequest{Disk: s.disk, ID: "aaaa"}); (err == nil) != fits {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

// TestRoomForAll: each copy has room, and all of them have not.
func TestRoomForAll(t *testing.T) {
	s := newStage(t, true)
	var st unix.Statfs_t
	must(t, unix.Statfs(filepath.Dir(s.home), &st))
	one := s.plan("aaaa")
	one.Size = int64(st.Bavail)*st.Bsize/2 + 1<<30
	other := one
	other.Disk.Target, other.Name = "vdb", strings.Replace(one.Name, "vda", "vdb", 1)
	_, err := s.method.Prepare(t.Context(), []methods.Ref{one, other})
	wantError(t, err, methods.ErrBlocked)
}

func TestClaimIsTheLast(t *testing.T) {
	m := fullcopy.New(fullcopy.Config{})
	for source, want := range map[string]int{"": 0, "nvme": methods.RankLast} {
		if c := m.Claim(t.Context(), methods.Disk{Source: methods.Source{Other: source}}); c.Rank != want {
			t.Errorf("%q: %+v", source, c)
		}
	}
}

func TestStatSaysWhatIsWrong(t *testing.T) {
	s := newStage(t, false)
	ref := s.plan("aaaa")
	stat := func() error { _, err := s.method.Stat(t.Context(), ref); return err }
	wantError(t, stat(), methods.ErrNotFound)
	p, err := s.method.Prepare(t.Context(), []methods.Ref{ref})
	must(t, err)
	wantError(t, stat(), methods.ErrNotFound)
	must(t, p.Take(t.Context()))
	wantError(t, stat(), methods.ErrNotFound)
	must(t, p.Close(t.Context()))
	must(t, stat())
	must(t, os.Truncate(ref.Name, 512))
	wantError(t, stat(), methods.ErrBroken)
	_, err = s.method.Open(t.Context(), ref)
	wantError(t, err, methods.ErrBroken)
	must(t, os.Remove(ref.Name))
	must(t, os.Symlink(s.disk.Source.File, ref.Name))
	wantError(t, stat(), methods.ErrBroken)
}

func TestSource(t *testing.T) {
	s := newStage(t, false)
	got, err := s.method.Source(t.Context(), methods.Ref{Snapshot: "aaaa", Disk: s.disk, Name: "/a'b/ds-aaaa-vda.raw"})
	want := methods.BackupSource{XML: "<source file='/a&#39;b/ds-aaaa-vda.raw'/>", URI: "/a'b/ds-aaaa-vda.raw", Format: "raw"}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestListAndDrop(t *testing.T) {
	s := newStage(t, false)
	first, second := s.take("aaaa"), s.plan("bbbb")
	p, err := s.method.Prepare(t.Context(), []methods.Ref{second})
	must(t, err)
	must(t, p.Close(t.Context()))
	for target, want := range map[string][]string{"vda": {"ds-aaaa-vda", "ds-bbbb-vda"}, "vdb": nil} {
		disk := s.disk
		disk.Target = target
		if names, err := s.method.List(t.Context(), disk); err != nil || !slices.Equal(names, want) {
			t.Errorf("%s: %v, %v", target, names, err)
		}
	}
	for range 2 {
		s.drop(first)
		s.drop(second)
	}
	if !slices.Equal(s.hypervisor.aborted, []string{strings.Replace(second.Name, ".raw", ".raw.partial", 1)}) {
		t.Errorf("ended the copies into %v", s.hypervisor.aborted)
	}
	if entries, err := os.ReadDir(filepath.Dir(s.disk.Source.File)); err != nil || len(entries) != 1 {
		t.Errorf("dropping left %v, %v", entries, err)
	}
}

func TestDropRemovesNothingElse(t *testing.T) {
	s := newStage(t, false)
	for _, name := range []string{s.disk.Source.File, "ds-aaaa-vda.raw", "/a/../ds-aaaa-vda.raw", "/a/ds-bbbb-vda.raw", ""} {
		ref := methods.Ref{Snapshot: "aaaa", Disk: s.disk, Name: name}
		if err := s.method.Drop(t.Context(), methods.DropRequest{Ref: ref}); err == nil {
			t.Errorf("%q was dropped", name)
		}
	}
	content(t, s.disk.Source.File)
}

func TestMissingToolIsNamed(t *testing.T) {
	m := fullcopy.New(fullcopy.Config{Run: command.Host{}})
	must(t, m.Check(t.Context()))
	t.Setenv("PATH", t.TempDir())
	wantError(t, m.Check(t.Context()), methods.ErrUnsupported)
}
