package rbd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// awaitDead waits until every client that has the image open answers. A client that died is forgotten by the
// cluster after a while; one that does not answer and is not forgotten either is ErrBlocked.
func (m *Method) awaitDead(ctx context.Context, s *session) error {
	deadline := time.Now().Add(m.limits.dead)
	for {
		silent, err := await(ctx, s, func() ([]client, error) { return s.reader.silent(m.limits.answer) })
		if err != nil {
			return fmt.Errorf("ask clients of image %s: %w", s.place.RBDImage, err)
		}
		if len(silent) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return unanswered(s.place, silent)
		}
		if err := pause(ctx, m.limits.answer/3); err != nil {
			return fmt.Errorf("wait for dead clients of image %s: %w", s.place.RBDImage, err)
		}
	}
}

func unanswered(p place, silent []client) error {
	return &methods.Blocked{
		What: fmt.Sprintf("image %s is open in %s, which does not answer", p.RBDImage, list(silent)),
		Hint: "find out what hangs on that host; the cluster forgets a client that is gone after 30 s, " +
			"or at once with: ceph osd blocklist add ADDRESS",
	}
}

// unlocked finds a lock that a person or a program put on the image. librbd does not write past one.
func unlocked(p place, by users) error {
	if len(by.locks) == 0 {
		return nil
	}
	return &methods.Blocked{
		What: fmt.Sprintf("image %s is locked by %s", p.RBDImage, list(by.locks)),
		Hint: "see it with: rbd lock ls " + p.RBDImage.String(),
	}
}

// unused finds a client that has the image open.
func unused(p place, by users) error {
	if len(by.watchers) == 0 {
		return nil
	}
	return &methods.Blocked{
		What: fmt.Sprintf("image %s is open in %s", p.RBDImage, list(by.watchers)),
		Hint: "shut the domain down, unmap the image; a client that died is forgotten after 30 s",
	}
}

func list(clients []client) string {
	names := make([]string, len(clients))
	for i, c := range clients {
		names[i] = c.String()
	}
	return strings.Join(names, ", ")
}
