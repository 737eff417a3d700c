package wire

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/domsnap/domsnap/orchestrator/replica"
)

// Target names a place of replicas.
type Target struct {
	// User, Host and Port are empty for this host, Port and User where ssh is to know.
	User, Host, Port string
	// Dir is an absolute path.
	Dir string
}

// maxUser and maxHost are how long these may be.
const maxUser, maxHost = 64, 255

var (
	userPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9:][A-Za-z0-9.:%_-]*$`)
)

// ParseTarget reads file:/DIR, or just /DIR, and ssh://[USER@]HOST[:PORT]/DIR.
func ParseTarget(text string) (Target, error) {
	if dir, ok := localDir(text); ok {
		return Target{Dir: filepath.Clean(dir)}, checkDir(dir)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "ssh" {
		return Target{}, fmt.Errorf("there is no place %q: want file:/DIR or ssh://[USER@]HOST[:PORT]/DIR", text)
	}
	t := Target{User: u.User.Username(), Host: u.Hostname(), Port: u.Port(), Dir: filepath.Clean(u.Path)}
	_, secret := u.User.Password()
	switch {
	case secret:
		return Target{}, fmt.Errorf("a password does not belong into a target: ssh has keys")
	case u.RawQuery != "" || u.Fragment != "":
		return Target{}, fmt.Errorf("the target %q has more than a path", text)
	case t.User != "" && !userPattern.MatchString(t.User) || len(t.User) > maxUser, !hostPattern.MatchString(t.Host) || len(t.Host) > maxHost:
		return Target{}, fmt.Errorf("the target %q names no host, or no user", text)
	}
	return t, checkDir(u.Path)
}

func localDir(text string) (string, bool) {
	if strings.HasPrefix(text, "/") {
		return text, true
	}
	dir, ok := strings.CutPrefix(text, "file:")
	if rest, triple := strings.CutPrefix(dir, "//"); triple {
		dir = rest
	}
	return dir, ok
}

func checkDir(dir string) error {
	if !filepath.IsAbs(dir) || strings.ContainsRune(dir, 0) || filepath.Clean(dir) == "/" {
		return fmt.Errorf("the target's directory %q is no absolute path, or the root of all", dir)
	}
	return nil
}

// String is the one way to write it.
func (t Target) String() string {
	if t.Host == "" {
		return "file:" + t.Dir
	}
	host := t.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if t.Port != "" {
		host += ":" + t.Port
	}
	u := url.URL{Scheme: "ssh", Host: host, Path: t.Dir}
	if t.User != "" {
		u.User = url.User(t.User)
	}
	return u.String()
}

// Open opens the place.
func (t Target) Open(ctx context.Context) (replica.Place, error) {
	if t.Host == "" {
		return replica.OpenStore(t.Dir)
	}
	conn, err := connect(ctx, t)
	if err != nil {
		return nil, err
	}
	place, err := Dial(ctx, conn, t.Dir)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", t, err)
	}
	return place, nil
}

// arguments are those of ssh. The directory is not among them: the other side's shell would read it.
func (t Target) arguments() []string {
	args := []string{"-T", "-x", "-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes", "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15"}
	if t.User != "" {
		args = append(args, "-l", t.User)
	}
	if _, err := strconv.ParseUint(t.Port, 10, 16); err == nil {
		args = append(args, "-p", t.Port)
	}
	return append(args, "--", t.Host, remoteCommand)
}
