package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

// attempts is how often a file is copied that changes while it is.
const attempts = 5

// Keeping is a machine on its way into the store.
type Keeping struct {
	store Store
	of    Snapshot
	parts []*kept
}

// kept is a part and what it looked like when it was copied.
type kept struct {
	Part
	to   string
	seen signature
	at   time.Time
}

// Keep copies the machine as it is now. It is not in the store before Finish, and Renew brings it up to date until then.
func (s Store) Keep(of Snapshot, state State) (*Keeping, error) {
	dir := s.unfinished(of)
	err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700))
	if err == nil {
		err = durable.Write(durable.Disk{Dir: dir}.Create, definition, []byte(state.Definition))
	}
	if err != nil {
		return nil, fmt.Errorf("keep the machine: %w", err)
	}
	k := &Keeping{store: s, of: of}
	for _, p := range state.Parts {
		k.parts = append(k.parts, &kept{Part: p, to: filepath.Join(dir, p.Name)})
	}
	for _, p := range k.parts {
		if err := p.copy(); err != nil {
			return nil, fmt.Errorf("keep the machine's %s: %w", p.Name, err)
		}
	}
	return k, nil
}

// Renew copies again what has changed since it was copied, and costs next to nothing where nothing has.
func (k *Keeping) Renew() error {
	for _, p := range k.parts {
		if err := p.renew(); err != nil {
			return fmt.Errorf("keep the machine's %s: %w", p.Name, err)
		}
	}
	return nil
}

// renew copies until nothing has changed meanwhile: what runs may write at any time. By a clock that is ahead of ours it
// always seems to have changed just now.
func (p *kept) renew() error {
	for range attempts {
		now, err := sign(p.Path)
		if err != nil {
			return err
		}
		if slices.Equal(now, p.seen) && now.before(p.at) {
			return nil
		}
		if !now.before(time.Now()) {
			time.Sleep(racy)
		}
		if err := p.copy(); err != nil {
			return err
		}
	}
	if now, err := sign(p.Path); err != nil || slices.Equal(now, p.seen) {
		return err
	}
	return fmt.Errorf("%s does not stop changing", p.Path)
}

func (p *kept) copy() (err error) {
	if p.seen, err = sign(p.Path); err != nil {
		return err
	}
	p.at = time.Now()
	return copyTree(p.Path, p.to, false)
}

// Finish makes the copy durable, and puts it into the store.
func (k *Keeping) Finish() error {
	from, to := k.store.unfinished(k.of), k.store.Path(k.of)
	err := syncTree(from)
	if err == nil {
		err = os.Rename(from, to)
	}
	if err == nil {
		err = syncAbove(to, k.store.Dir)
	}
	if err != nil {
		return fmt.Errorf("keep the machine: %w", err)
	}
	return nil
}

// Names are the parts that were there to be kept.
func (k *Keeping) Names() []string {
	var names []string
	for _, p := range k.parts {
		if len(p.seen) > 0 {
			names = append(names, p.Name)
		}
	}
	return names
}
