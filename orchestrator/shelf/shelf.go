// Package shelf keeps the host's own copy of what libvirt has of each domain, for the day on which libvirt has lost it.
package shelf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

// Copy is what libvirt had when the lineage was last written.
type Copy struct {
	Written time.Time `json:"written"`
	// Lineage is the lineage as it was written, Rev its revision.
	Lineage string `json:"lineage"`
	Rev     int64  `json:"rev,omitempty"`
	// Sources are where the disks were.
	Sources []Source `json:"sources"`
}

// Source is where a disk was.
type Source struct {
	Target string `json:"target"`
	Source string `json:"source"`
	Format string `json:"format"`
}

// Source is where the disk with this target was; false where there was none.
func (c *Copy) Source(target string) (Source, bool) {
	for _, s := range c.Sources {
		if s.Target == target {
			return s, true
		}
	}
	return Source{}, false
}

// Shelf is a directory of copies, one file for each domain.
type Shelf struct{ Dir string }

// ErrDamaged: the copy makes no sense. No crash does that; a disk or a person did.
var ErrDamaged = errors.New("the copy of the lineage is damaged")

// Put makes a copy durable, in place of the last.
func (s Shelf) Put(uuid string, c Copy) error {
	text, err := json.Marshal(c)
	if err == nil {
		err = durable.Replace(s.disk(), nameOf(uuid), text)
	}
	if err != nil {
		return fmt.Errorf("write the copy of the lineage: %w", err)
	}
	return nil
}

// Get reads a domain's copy; nil when there is none. It fails with ErrDamaged.
func (s Shelf) Get(uuid string) (*Copy, error) {
	text, err := s.disk().ReadFile(nameOf(uuid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the copy of the lineage: %w", err)
	}
	c := &Copy{}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%w: read %s: %w", ErrDamaged, s.Path(uuid), err)
	}
	return c, nil
}

// Path is the file of a domain.
func (s Shelf) Path(uuid string) string { return filepath.Join(s.Dir, nameOf(uuid)) }

func (s Shelf) disk() durable.Disk { return durable.Disk{Dir: s.Dir} }

func nameOf(uuid string) string { return filepath.Base(uuid) + ".json" }
