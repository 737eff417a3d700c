package replica

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/keep"
)

// Of gives the replicas of a domain, by its UUID or the name that it had; of all domains where that is empty.
func Of(ctx context.Context, p Place, domain string) ([]Manifest, error) {
	if uuidPattern.MatchString(domain) {
		return p.List(ctx, domain)
	}
	all, err := p.List(ctx, "")
	if err != nil || domain == "" {
		return all, err
	}
	of := []Manifest{}
	for _, m := range all {
		if m.DomainName == domain {
			of = append(of, m)
		}
	}
	return of, sameDomain(of)
}

func sameDomain(of []Manifest) error {
	for _, m := range of {
		if m.Domain != of[0].Domain {
			return methods.Blockedf("there are replicas of two domains called %s: name it by its UUID, %s or %s", m.DomainName, of[0].Domain, m.Domain)
		}
	}
	return nil
}

// Find gives the replica of a snapshot, by its id or its name; of several by that name the youngest.
func Find(ctx context.Context, p Place, domain, snapshot string) (*Manifest, error) {
	all, err := Of(ctx, p, domain)
	if err != nil {
		return nil, err
	}
	var found *Manifest
	for i := range all {
		if all[i].Snapshot == snapshot {
			return &all[i], nil
		}
		if all[i].Name == snapshot {
			found = &all[i]
		}
	}
	if found == nil {
		return nil, fmt.Errorf("replica of snapshot %q of domain %q: %w", snapshot, domain, methods.ErrNotFound)
	}
	return found, nil
}

// Pruned is what stayed and what went.
type Pruned struct {
	Kept    []Kept   `json:"kept"`
	Deleted []string `json:"deleted"`
}

// Kept is a replica that stays, and why.
type Kept struct {
	Name    string   `json:"name"`
	ID      string   `json:"id"`
	Because []string `json:"because"`
}

// Prune removes the replicas that no rule keeps. The youngest that is complete stays, since the next increment begins as it,
// and so does what is on its way or broken: those go by Remove. With dry nothing is removed.
func Prune(ctx context.Context, p Place, all []Manifest, o PruneOptions) (*Pruned, error) {
	if err := o.Keep.Check(); err != nil {
		return nil, err
	}
	result := &Pruned{Kept: []Kept{}, Deleted: []string{}}
	for i, because := range keptBecause(all, o.Keep) {
		m := all[i]
		if len(because) > 0 {
			result.Kept = append(result.Kept, Kept{m.Name, m.Snapshot, because})
			continue
		}
		if !o.Dry {
			if err := p.Remove(ctx, m.Key); err != nil {
				return result, err
			}
		}
		result.Deleted = append(result.Deleted, m.Name)
	}
	return result, nil
}

// PruneOptions say what stays.
type PruneOptions struct {
	Keep keep.Rules
	Dry  bool
}

func keptBecause(all []Manifest, rules keep.Rules) [][]string {
	because := make([][]string, len(all))
	var whole []int
	var times []time.Time
	for i, m := range all {
		if m.State == Complete {
			whole, times = append(whole, i), append(times, m.Created)
		} else {
			because[i] = []string{m.State}
		}
	}
	for n, by := range rules.Choose(times) {
		because[whole[n]] = by
	}
	if len(whole) > 0 {
		last := whole[len(whole)-1]
		because[last] = append(because[last], "the next increment")
	}
	return because
}

// Copy brings a complete replica from one place to another, where it is complete when it returns.
func Copy(ctx context.Context, from Place, m Manifest, o CopyOptions) (moved int64, err error) {
	if m.Base, err = commonBase(ctx, o.To, m); err != nil {
		return 0, err
	}
	to, err := o.To.Begin(ctx, m)
	if err != nil {
		return 0, err
	}
	moved, err = onward{from, m, o.Progress}.fill(ctx, to)
	if errClose := to.Close(); err == nil {
		err = errClose
	}
	return moved, err
}

// CopyOptions say where to, and who is told.
type CopyOptions struct {
	To       Place
	Progress methods.Progress
}

// commonBase is the youngest replica over there that is older.
func commonBase(ctx context.Context, to Place, m Manifest) (string, error) {
	there, err := to.List(ctx, m.Domain)
	best := ""
	for _, t := range there {
		if t.State == Complete && t.Snapshot != m.Snapshot && !t.Created.After(m.Created) {
			best = t.Snapshot
		}
	}
	return best, err
}

// onward is a replica that goes on to another place.
type onward struct {
	from Place
	Manifest
	progress methods.Progress
}

func (o onward) fill(ctx context.Context, to Inbox) (moved int64, err error) {
	if to.Manifest().State == Complete {
		return 0, nil
	}
	before, total := int64(0), o.Size()
	for _, d := range o.Disks {
		content, err := o.from.Open(ctx, o.Key, d.Target)
		if err != nil {
			return moved, err
		}
		sent, err := Send(ctx, to, Sending{Disk: d.Target, Content: content, Progress: func(done, _ int64) { o.progress.Report(before+done, total) }})
		moved, before = moved+sent.Moved, before+d.Size
		if errClose := content.Close(); err == nil {
			err = errClose
		}
		if err != nil {
			return moved, fmt.Errorf("copy disk %s: %w", d.Target, err)
		}
	}
	return moved, to.Finish(ctx)
}

// String names a replica for people.
func (m *Manifest) String() string { return strings.TrimSpace(m.DomainName + " " + m.Name) }
