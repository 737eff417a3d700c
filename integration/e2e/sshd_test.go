//go:build lab

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// sshd is one that lets the program's ssh in, to replicas in one directory and no further.
type sshd struct {
	dir, address string
	// namespace is the network that it is in, the lab's own if empty.
	namespace string
}

const sshPort = "2222"

// sshd starts one, which ends with the test, and gives the place that it leads to.
func (p *program) sshd(s sshd) string {
	p.t.Helper()
	etc := p.t.TempDir()
	p.keys(etc, s)
	check(p.t, os.MkdirAll("/run/sshd", 0o755))
	args := []string{"/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(etc, "server")}
	if s.namespace != "" {
		args = append([]string{"ip", "netns", "exec", s.namespace}, args...)
	}
	server := exec.Command(args[0], args[1:]...)
	server.Stderr = p.t.Output()
	check(p.t, server.Start())
	p.t.Cleanup(func() { _ = errors.Join(server.Process.Kill(), server.Wait()) })
	p.shim("ssh", `exec "$REAL" -F `+etc+`/client "$@"`)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", net.JoinHostPort(s.address, sshPort))
		if err == nil {
			check(p.t, conn.Close())
			return fmt.Sprintf("ssh://root@%s:%s%s", s.address, sshPort, s.dir)
		}
		if time.Now().After(end) {
			p.t.Fatalf("there is no sshd: %v", err)
		}
	}
}

// keys writes what both sides need to know of each other.
func (p *program) keys(etc string, s sshd) {
	p.t.Helper()
	for _, key := range []string{"host", "mine"} {
		tool(p.t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(etc, key))
	}
	public, err := os.ReadFile(filepath.Join(etc, "mine.pub"))
	check(p.t, err)
	host, err := os.ReadFile(filepath.Join(etc, "host.pub"))
	check(p.t, err)
	for name, text := range map[string]string{
		"keys":   fmt.Sprintf("restrict,command=\"%s replica-serve %s\" %s", p.Path, s.dir, public),
		"known":  fmt.Sprintf("[%s]:%s %s", s.address, sshPort, host),
		"client": fmt.Sprintf("IdentityFile %[1]s/mine\nUserKnownHostsFile %[1]s/known\nStrictHostKeyChecking yes\n", etc),
		"server": fmt.Sprintf("ListenAddress %[3]s:%[2]s\nHostKey %[1]s/host\nAuthorizedKeysFile %[1]s/keys\nPidFile none\n"+
			"StrictModes no\nPermitRootLogin yes\nUsePAM no\n", etc, sshPort, s.address),
	} {
		check(p.t, os.WriteFile(filepath.Join(etc, name), []byte(text), 0o600))
	}
}
