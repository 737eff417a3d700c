package pool

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/rbd"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// Target names a pool, or a namespace of one, and how to get there.
type Target struct {
	Pool, Namespace string
	// User, without "client.", and Config are empty for the client's defaults.
	User, Config string
}

// Scheme is what a target begins with.
const Scheme = "rbd:"

// maxName is how long a name may be.
const maxName = 128

var (
	namePattern = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.-]*$`)
	userPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	confPattern = regexp.MustCompile(`^/[A-Za-z0-9_./+-]+$`)
)

// ParseTarget reads rbd:POOL[/NAMESPACE][:id=USER][:conf=FILE], as QEMU's and Ceph's users write where an image is.
func ParseTarget(text string) (Target, error) {
	rest, ok := strings.CutPrefix(text, Scheme)
	if !ok {
		return Target{}, wrong(text)
	}
	words := strings.Split(rest, ":")
	t := Target{}
	var within bool
	t.Pool, t.Namespace, within = strings.Cut(words[0], "/")
	if !isName(namePattern, t.Pool) || within && !isName(namePattern, t.Namespace) {
		return Target{}, wrong(text)
	}
	for _, word := range words[1:] {
		if err := t.set(word); err != nil {
			return Target{}, fmt.Errorf("%w: %w", wrong(text), err)
		}
	}
	return t, nil
}

func isName(pattern *regexp.Regexp, text string) bool {
	return len(text) <= maxName && pattern.MatchString(text)
}

func wrong(text string) error {
	return fmt.Errorf("there is no place %.256q: want rbd:POOL[/NAMESPACE][:id=USER][:conf=FILE]", text)
}

func (t *Target) set(word string) error {
	key, value, _ := strings.Cut(word, "=")
	switch {
	case key == "id" && t.User == "" && isName(userPattern, value):
		t.User = value
	case key == "conf" && t.Config == "" && confPattern.MatchString(value):
		t.Config = filepath.Clean(value)
	default:
		return fmt.Errorf("%.64q is no user, no file by its absolute path, or there twice", word)
	}
	return nil
}

// String is the one way to write it.
func (t Target) String() string {
	text := Scheme + t.Pool
	if t.Namespace != "" {
		text += "/" + t.Namespace
	}
	if t.User != "" {
		text += ":id=" + t.User
	}
	if t.Config != "" {
		text += ":conf=" + t.Config
	}
	return text
}

// Open opens the place.
func (t Target) Open(ctx context.Context) (replica.Place, error) {
	p, err := rbd.OpenPool(ctx, methods.RBDImage{Pool: t.Pool, Namespace: t.Namespace, User: t.User, Config: t.Config})
	if err != nil {
		return nil, err
	}
	return Place{ceph{p}}, nil
}
