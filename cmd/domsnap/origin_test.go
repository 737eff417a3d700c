package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// sentinel is a secret that must turn up nowhere.
const sentinel = "S3cretSentinel"

// site is a hypervisor with one domain, web1, that is off and has a qcow2 file, and a directory of tools that say how they
// were run.
type site struct {
	t                     *testing.T
	dir, uri, state, tool string
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{t: t, dir: dir, uri: "test://" + dir + "/node.xml", state: dir + "/state", tool: dir + "/tools"}
	image := dir + "/web1.qcow2"
	s.do(exec.Command("qemu-img", "create", "-q", "-f", "qcow2", image, "1M"))
	s.write("node.xml", 0o600, `<node xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
<domain type='test'><name>web1</name><uuid>6f1d2c3b-0000-4000-8000-000000000001</uuid><memory>8192</memory>
<os><type>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='`+image+`'/><target dev='vda' bus='virtio'/></disk>
<disk type='network' device='cdrom'><source protocol='rbd' name='p/i'><host name='h' port='1'/>
<auth username='admin'><secret type='ceph' usage='the secret'/></auth></source><target dev='sda' bus='sata'/><readonly/></disk>
<graphics type='vnc' port='-1' autoport='yes' passwd='`+sentinel+`'/></devices><test:runstate>5</test:runstate></domain></node>`)
	if err := os.Mkdir(s.tool, 0o700); err != nil {
		t.Fatal(err)
	}
	real, err := exec.LookPath("qemu-img")
	if err != nil {
		t.Fatal(err)
	}
	// What a child sees: its arguments, its environment, its files, and what is on disk meanwhile.
	s.write("tools/qemu-img", 0o700, fmt.Sprintf(`#!/bin/sh
{ echo "args $*"; env | sed 's/^/env /'; echo "fds" $(ls /proc/self/fd); cat %s/journal/* /proc/$PPID/cmdline; } >>%s/seen 2>/dev/null
exec %s "$@"
`, s.state, dir, real))
	return s
}

func (s *site) write(name string, mode os.FileMode, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) do(cmd *exec.Cmd) string {
	s.t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// program is the program in a process of its own, with the umask 0 and the environment.
func (s *site) program(env []string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	words := append([]string{"-c", `umask 0; exec "$0" "$@"`, self, "--state-dir", s.state, "-c", s.uri}, args...)
	cmd := exec.Command("/bin/sh", words...)
	cmd.Env = append([]string{asProgram + "=1", "PATH=" + s.tool + ":" + os.Getenv("PATH"), "HOME=" + s.dir}, env...)
	return cmd
}

func (s *site) seen() string {
	s.t.Helper()
	text, err := os.ReadFile(s.dir + "/seen")
	if err != nil {
		s.t.Fatalf("no tool was run: %v", err)
	}
	return string(text)
}

// createInside takes a snapshot inside the image.
var createInside = []string{"-v", "-v", "snapshot-create-as", "web1", "one", "--diskspec", "vda,method=qemu,mode=internal"}

// TestChildrenGetNothingOfTheCaller: no variable that changes what tools do, and no open file.
func TestChildrenGetNothingOfTheCaller(t *testing.T) {
	s := newSite(t)
	hostile := []string{
		"LD_LIBRARY_PATH=/evil", "LD_DEBUG_OUTPUT=/evil", "GODEBUG=x=1", "GOTRACEBACK=crash", "LVM_SYSTEM_DIR=/evil", "LVM_SUPPRESS_FD_WARNINGS=1",
		"CEPH_ARGS=--id=evil", "CEPH_CONF=/evil", "CEPH_KEYRING=/evil", "CEPH_LIB=/evil", "TMPDIR=" + s.dir, "XDG_CACHE_HOME=/evil",
		"XDG_CONFIG_DIRS=/evil", "LIBVIRT_DEBUG=1", "LIBVIRT_LOG_OUTPUTS=1:file:" + s.dir + "/log", "LIBVIRT_LOG_FILTERS=1:*", "QEMU_MODULE_DIR=/evil",
		"IFS=x", "BASH_ENV=/evil", "ENV=/evil", "LC_ALL=tr_TR.UTF-8", "LANGUAGE=tr", "PYTHONPATH=/evil", "PERL5LIB=/evil", "http_proxy=evil", "DM_DISABLE_UDEV=1",
	}
	cmd := s.program(hostile, createInside...)
	for range 3 {
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.Stdin)
	}
	s.do(cmd)
	wanted := []string{"LC_ALL=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PWD="}
	for line := range strings.Lines(s.seen()) {
		line = strings.TrimSpace(line)
		if variable, ok := strings.CutPrefix(line, "env "); ok && !slices.ContainsFunc(wanted, func(w string) bool { return strings.HasPrefix(variable, w) }) {
			t.Errorf("a child got the variable %s", variable)
		}
		// The fourth is the directory that is listed.
		if files, ok := strings.CutPrefix(line, "fds "); ok && files != "0 1 2 3" {
			t.Errorf("a child got the files %s", files)
		}
	}
	if _, err := os.Stat(s.dir + "/log"); err == nil {
		t.Error("a variable had a log written")
	}
}

func TestVariablesAreLeftBehind(t *testing.T) {
	for _, name := range []string{"CEPH_ARGS", "LD_PRELOAD", "GODEBUG", "LVM_SYSTEM_DIR", "TMPDIR", "LIBVIRT_DEBUG"} {
		t.Setenv(name, "x")
	}
	t.Setenv("LIBVIRT_DEFAULT_URI", testHypervisor)
	t.Setenv("DOMSNAP_STATE_DIR", "/x")
	if err := leaveBehind(); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("LIBVIRT_DEFAULT_URI") != testHypervisor || os.Getenv("DOMSNAP_STATE_DIR") != "/x" {
		t.Error("what is asked for by variables is gone")
	}
	for _, name := range []string{"CEPH_ARGS", "LD_PRELOAD", "GODEBUG", "LVM_SYSTEM_DIR", "TMPDIR", "LIBVIRT_DEBUG"} {
		if value, ok := os.LookupEnv(name); ok {
			t.Errorf("%s is still %q", name, value)
		}
	}
}

// TestSecretIsNowhere: not in what is printed, in an argument, in the environment, in the journal or in a file.
func TestSecretIsNowhere(t *testing.T) {
	s := newSite(t)
	said := s.do(s.program(nil, createInside...))
	said += s.do(s.program(nil, "disks", "web1")) + s.do(s.program(nil, "-o", "json", "disks", "web1"))
	said += s.do(s.program(nil, append([]string{"-o", "json"}, append(slices.Clone(createInside), "--dry-run")...)...))
	if strings.Contains(said+s.seen(), sentinel) {
		t.Error("the secret was told")
	}
	s.walk(func(path string, info os.FileInfo) {
		if text, err := os.ReadFile(path); info.Mode().IsRegular() && (err != nil || strings.Contains(string(text), sentinel)) {
			t.Errorf("it is in %s, %v", path, err)
		}
	})
	if !strings.Contains(s.seen(), `"verb":"create"`) {
		t.Error("no tool saw the journal")
	}
}

func (s *site) walk(visit func(path string, info os.FileInfo)) {
	s.t.Helper()
	err := filepath.Walk(s.state, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			visit(path, info)
		}
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
}

// TestSecureXMLIsAskedForNowhere: libvirt tells no secret unless it is asked with that flag.
func TestSecureXMLIsAskedForNowhere(t *testing.T) {
	secure := regexp.MustCompile(`XML_(SECURE|MIGRATABLE)|--security-info`)
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if secure.Match(text) {
			t.Errorf("%s asks for secrets", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestStateIsPrivate with whatever umask: only the way through it is open, for QEMU.
func TestStateIsPrivate(t *testing.T) {
	s := newSite(t)
	s.do(s.program(nil, createInside...))
	found := 0
	s.walk(func(path string, info os.FileInfo) {
		found++
		want := os.FileMode(0o600)
		switch {
		case path == s.state:
			want = 0o711
		case info.IsDir():
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	})
	if found < 3 {
		t.Errorf("there are %d files and directories", found)
	}
	if !strings.Contains(s.seen(), "args info") {
		t.Error("nothing was done")
	}
}

// TestSetUIDIsRefused before anything is done.
func TestSetUIDIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a program of another user's")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"uid": os.ModeSetuid, "gid": os.ModeSetgid} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, text, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o755|mode); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(path, "--version")
		cmd.Env = []string{asProgram + "=1"}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "set-uid") {
			t.Errorf("set-%s: %v, %s", name, err, out)
		}
	}
}

// TestWhoMayNothingChangesNothing: nobody gets an error and leaves no trace.
func TestWhoMayNothingChangesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be nobody")
	}
	s := newSite(t)
	if err := os.Mkdir(s.state, 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	open := t.TempDir()
	for _, dir := range []string{open, filepath.Dir(open)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(open, "program")
	s.do(exec.Command("cp", self, program))
	cmd := exec.Command(program, append([]string{"--state-dir", s.state, "-c", testHypervisor}, "snapshot-create-as", "test", "one")...)
	cmd.Env, cmd.Dir = []string{asProgram + "=1"}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "domsnap: ") || !strings.Contains(string(out), "permission denied") {
		t.Errorf("%v, %s", err, out)
	}
	if left, err := os.ReadDir(s.state); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
