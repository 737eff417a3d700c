package fullcopy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

// TestCopyIsEqualAndSparse is for both ways.
func TestCopyIsEqualAndSparse(t *testing.T) {
	for name, active := range map[string]bool{"off": false, "active": true} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, active)
			want := content(t, s.disk.Source.File)
			ref := s.take("aaaa")
			s.wantCopy(ref, want)
			info, err := s.method.Stat(t.Context(), ref)
			if err != nil || info.BytesUsed > 1<<20 {
				t.Errorf("the copy takes %d bytes: %v", info.BytesUsed, err)
			}
			st, err := os.Stat(ref.Name)
			if err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", st.Mode(), err)
			}
			wantError(t, s.method.Take(t.Context(), ref), methods.ErrExists)
			s.wantCopy(ref, want)
		})
	}
}

// TestLongStepsTellHowFarTheyAre: the copying of all disks together, to its end, and what comes after libvirt's job.
func TestLongStepsTellHowFarTheyAre(t *testing.T) {
	const copied, dug = "copy disks", "make the copy of vda sparse"
	for active, want := range map[bool][]string{false: {copied}, true: {copied, dug}} {
		s := newStage(t, active)
		done, total := map[string]int64{}, map[string]int64{}
		s.method.Progress = func(step string) methods.Progress {
			return func(d, n int64) {
				if d < done[step] || d > n {
					t.Errorf("%s: %d of %d, after %d", step, d, n, done[step])
				}
				done[step], total[step] = d, n
			}
		}
		s.take("aaaa")
		for _, step := range want {
			if done[step] != diskSize || total[step] != diskSize {
				t.Errorf("active %t: %s ended at %d of %d", active, step, done[step], total[step])
			}
		}
		if len(done) != len(want) {
			t.Errorf("active %t: told of %v", active, done)
		}
	}
}

func TestCopyOfQcow2(t *testing.T) {
	s := newStage(t, false)
	file := filepath.Join(t.TempDir(), "a disk, \"{:}\".qcow2")
	qemuTool(t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", s.disk.Source.File, file)
	want := content(t, s.disk.Source.File)
	s.disk.Source.File, s.disk.Format = file, "qcow2"
	s.wantCopy(s.take("aaaa"), want)
}

// TestCopyIsOfTheInstant: what is written after Take is not in the copy.
func TestCopyIsOfTheInstant(t *testing.T) {
	for name, active := range map[string]bool{"off": false, "active": true} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, active)
			want, ref := content(t, s.disk.Source.File), s.plan("aaaa")
			p, err := s.method.Prepare(t.Context(), []methods.Ref{ref})
			must(t, err)
			must(t, p.Take(t.Context()))
			must(t, os.WriteFile(s.disk.Source.File, random(diskSize), 0o600))
			must(t, p.Close(t.Context()))
			s.wantCopy(ref, want)
		})
	}
}

// TestAllDisksInOneJob and nobody else's.
func TestAllDisksInOneJob(t *testing.T) {
	s := newStage(t, true)
	refs := []methods.Ref{s.plan("aaaa")}
	s.disk.Target = "vdb"
	refs = append(refs, s.plan("aaaa"))
	p, err := s.method.Prepare(t.Context(), refs)
	must(t, err)
	must(t, p.Take(t.Context()))
	must(t, p.Close(t.Context()))
	if b := s.hypervisor.begun; len(b) != 2 || b[0].Disk != "vda" || b[1].Disk != "vdb" || !strings.HasSuffix(b[0].File, "/ds-aaaa-vda.raw.partial") {
		t.Errorf("%+v", b)
	}
	for _, ref := range refs {
		if _, err := s.method.Stat(t.Context(), ref); err != nil {
			t.Error(err)
		}
	}
}

func TestJobThatFailsLeavesNoCopy(t *testing.T) {
	s := newStage(t, true)
	s.hypervisor.failing = errors.New("no space left")
	ref := s.plan("aaaa")
	wantError(t, s.method.Take(t.Context(), ref), s.hypervisor.failing)
	_, err := s.method.Stat(t.Context(), ref)
	wantError(t, err, methods.ErrNotFound)
	s.drop(ref)
	s.hypervisor.failing = nil
	s.take("aaaa")
}

func TestCloseWithoutTakeMakesNoCopy(t *testing.T) {
	s := newStage(t, true)
	ref := s.plan("aaaa")
	p, err := s.method.Prepare(t.Context(), []methods.Ref{ref})
	must(t, err)
	_, err = s.method.Prepare(t.Context(), []methods.Ref{ref})
	wantError(t, err, methods.ErrExists)
	must(t, p.Close(t.Context()))
	_, err = s.method.Stat(t.Context(), ref)
	wantError(t, err, methods.ErrNotFound)
}

func TestPrepareFollowsNoLink(t *testing.T) {
	s := newStage(t, false)
	ref := s.plan("aaaa")
	victim := filepath.Join(t.TempDir(), "victim")
	dir := filepath.Dir(ref.Name)
	must(t, os.MkdirAll(dir, 0o700))
	must(t, os.Symlink(victim, strings.Replace(ref.Name, ".raw", ".raw.partial", 1)))
	_, err := s.method.Prepare(t.Context(), []methods.Ref{ref})
	wantError(t, err, methods.ErrExists)
	must(t, os.RemoveAll(filepath.Dir(dir)))
	must(t, os.Symlink(t.TempDir(), filepath.Dir(dir)))
	_, err = s.method.Prepare(t.Context(), []methods.Ref{ref})
	wantError(t, err, methods.ErrBlocked)
}

// TestRevert is the generic one.
func TestRevert(t *testing.T) {
	s := newStage(t, false)
	want, ref := content(t, s.disk.Source.File), s.take("aaaa")
	f, err := os.OpenFile(s.disk.Source.File, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(random(300_000), 2<<20)
	must(t, errors.Join(err, f.Close()))
	req := methods.RevertRequest{To: ref, Disk: s.disk, Disks: image.Access{}}
	req.How, err = methods.CheckRevert(t.Context(), s.method, req)
	must(t, err)
	done, err := methods.Revert(t.Context(), s.method, req)
	if err != nil || done.How != methods.HowCompare || done.BytesWritten > 1<<20 {
		t.Errorf("%+v, %v", done, err)
	}
	if string(content(t, s.disk.Source.File)) != string(want) {
		t.Error("the disk differs from its snapshot")
	}
}
