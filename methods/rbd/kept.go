package rbd

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// kept are connections that wait a while for the next verb. Connecting takes as long as most verbs do. None has an
// image open: there is no watcher and no lock that others would wait for if the process died. Each serves one
// session at a time, so that two sessions never take each other for themselves.
type kept struct {
	connect connector
	// life is how long a connection waits.
	life time.Duration
	mu   sync.Mutex
	idle []*idle
}

// idle is a connection that nobody uses.
type idle struct {
	cluster cluster
	// of is what it is a connection to, and as whom.
	of string
}

// take gives a connection for an image, an idle one if there is.
func (k *kept) take(image methods.RBDImage) (cluster, error) {
	of := reach(image)
	if c := k.remove(func(c *idle) bool { return c.of == of }); c != nil {
		return c.cluster, nil
	}
	return k.connect(image)
}

// give takes a connection back that has nothing open.
func (k *kept) give(image methods.RBDImage, back cluster) {
	given := &idle{back, reach(image)}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.idle = append(k.idle, given)
	time.AfterFunc(k.life, func() {
		if c := k.remove(func(c *idle) bool { return c == given }); c != nil {
			c.cluster.close()
		}
	})
}

// remove gives the first that is such, nil if none is.
func (k *kept) remove(such func(*idle) bool) *idle {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := slices.IndexFunc(k.idle, such)
	if at < 0 {
		return nil
	}
	found := k.idle[at]
	k.idle = slices.Delete(k.idle, at, at+1)
	return found
}

// reach is what images have in common that one connection serves.
func reach(image methods.RBDImage) string {
	type fields methods.RBDImage
	image.Image = ""
	return fmt.Sprintf("%q", fields(image))
}
