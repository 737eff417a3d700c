package shield_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/orchestrator/shield"
)

// errKilled is what everything says once the program is dead.
var errKilled = errors.New("killed")

// fakeDisk is a disk whose content is the sum of all writes to it.
type fakeDisk struct {
	base uint64
	// overlay is nil where nothing was written to it; file says that it is there, node that QEMU has it open.
	overlay    *uint64
	file, node bool
	place      shield.Place
	// job is at work; one that is completing ends by itself, at some time.
	job, completing bool
	// raised says that the definition names the overlay, synced that it did when it was last durable.
	raised, synced bool
	// known says that the overlay is noted as libvirt's.
	known bool
	stays bool
}

// seen is what a guest reads that has its disk in the place.
func (d *fakeDisk) seen(place shield.Place) uint64 {
	if place != shield.OnBase && d.overlay != nil {
		return *d.overlay
	}
	return d.base
}

// machine is a QEMU, the libvirt that runs it, and a guest that writes whenever it can.
type machine struct {
	disks  map[string]*fakeDisk
	active bool
	paused bool
	// all is the sum of the writes of which the guest was told that they are durable.
	all    uint64
	writes uint64
	// left is how many acts there are until the program dies; half says that the act it dies at was still done.
	left int
	half bool
	// anchor is there, anchored says that QEMU has it open.
	anchor, anchored bool
	// slow is how often the commits are not yet at their end when they are looked at.
	slow int
	// acts are all that were asked for.
	acts []string
}

// act does something to the world, unless the program is dead. The guest writes before and after.
func (m *machine) act(name string, do func() error) error {
	if m.left < 0 {
		return errKilled
	}
	m.acts = append(m.acts, name)
	m.left--
	if m.left < 0 && !m.half {
		return errKilled
	}
	m.write()
	err := do()
	m.write()
	if m.left < 0 {
		return errKilled
	}
	return err
}

// write: the guest writes the same to all disks, where it runs.
func (m *machine) write() {
	if !m.active || m.paused {
		return
	}
	defer m.complete()
	m.writes++
	m.all = add(m.all, m.writes)
	for _, d := range m.disks {
		now := add(d.seen(d.place), m.writes)
		if d.place == shield.OnBase {
			d.base = now
		} else {
			d.overlay = &now
		}
	}
}

// add is another sum where one write is missing.
func add(sum, write uint64) uint64 { return sum*31 + write }

func (m *machine) of(o shield.Overlay) *fakeDisk { return m.disks[o.Disk.Target] }

func (m *machine) Survey(context.Context, []string) ([]shield.Node, error) { return nil, nil }

func (m *machine) Make(_ context.Context, o shield.Overlay) error {
	return m.act("make", func() error {
		if m.of(o).file {
			return errors.New("there is such a file")
		}
		m.of(o).file, m.of(o).overlay = true, nil
		return nil
	})
}

func (m *machine) Add(_ context.Context, o shield.Overlay) error {
	return m.act("add", func() error {
		if !m.of(o).file || m.of(o).node {
			return errors.New("QEMU cannot open it")
		}
		m.of(o).node = true
		return nil
	})
}

func (m *machine) Remove(all []shield.Overlay) error {
	return m.act("unlink", func() error {
		for _, o := range all {
			d := m.of(o)
			if m.active && d.place != shield.OnBase || d.raised || d.synced {
				panic("the file of an overlay in use was removed")
			}
			d.file, d.overlay, d.known = false, nil, false
		}
		return nil
	})
}

// nodes has the other Remove.
type nodes struct{ *machine }

func (n nodes) Remove(_ context.Context, o shield.Overlay) error {
	return n.act("close", func() error {
		if d := n.of(o); d.place == shield.OnOverlay {
			return errors.New("the node is in use")
		}
		n.of(o).node = false
		return nil
	})
}

func (n nodes) Close(context.Context, shield.Overlay) error { return errors.New("no disk is detached") }

func (n nodes) Commit(_ context.Context, o shield.Overlay) error {
	return n.act("commit", func() error {
		if n.of(o).place != shield.OnOverlay {
			return errors.New("it is not on the overlay")
		}
		n.of(o).job = true
		return nil
	})
}

func (m *machine) Switch(_ context.Context, all []shield.Overlay) error {
	return m.act("switch", func() error {
		for _, o := range all {
			if d := m.of(o); d.place != shield.OnBase || !d.node {
				return errors.New("it cannot be put onto the overlay")
			}
		}
		for _, o := range all {
			m.of(o).place = shield.OnOverlay
		}
		return nil
	})
}

func (m *machine) Detach(_ context.Context, o shield.Overlay) error {
	err := m.act("to the base", func() error {
		m.of(o).place = shield.OnBase
		return nil
	})
	return errors.Join(err, nodes{m}.Remove(context.Background(), o))
}

func (m *machine) Places(_ context.Context, all []shield.Overlay) ([]shield.Place, error) {
	var places []shield.Place
	return places, m.act("places", func() error {
		for _, o := range all {
			place := m.of(o).place
			if place == shield.OnBase && !m.of(o).node {
				place = shield.Anew
			}
			places = append(places, place)
		}
		return nil
	})
}

func (m *machine) Jobs(context.Context) (map[string]shield.Job, error) {
	jobs := map[string]shield.Job{}
	return jobs, m.act("jobs", func() error {
		m.slow--
		for target, d := range m.disks {
			if d.job {
				job := shield.Job{Ready: true, Total: 1}
				if d.base == d.seen(d.place) {
					job.Done = 1
				}
				if m.slow > 0 {
					job = shield.Job{Total: 1}
				}
				d.base, jobs[target] = d.seen(d.place), job
			}
		}
		return nil
	})
}

func (m *machine) Pivot(_ context.Context, all []shield.Overlay) error {
	for _, o := range all {
		err := m.act("complete", func() error {
			d := m.of(o)
			if !d.job || d.base != d.seen(d.place) {
				panic("a pivot of sides that differ")
			}
			d.completing = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	return m.act("wait for the pivot", func() error { m.complete(); return nil })
}

// complete is QEMU's: the jobs that were told to end do.
func (m *machine) complete() {
	for _, d := range m.disks {
		if d.job && d.completing {
			d.base, d.place = d.seen(d.place), shield.OnBase
			d.job, d.completing = false, false
		}
	}
}

func (m *machine) Cancel(context.Context, []shield.Overlay) error {
	return m.act("cancel", func() error {
		for _, d := range m.disks {
			d.job, d.completing = false, false
		}
		return nil
	})
}

func (m *machine) CommitKnown(_ context.Context, o shield.Overlay) error {
	return m.act("commit by libvirt", func() error {
		d := m.of(o)
		d.base, d.place, d.raised = d.seen(d.place), shield.OnBase, false
		// Libvirt does not sync it, and the guest goes on meanwhile: there the model is better than the world.
		d.synced = false
		return nil
	})
}

func (m *machine) Define(_ context.Context, elements []string) error {
	for _, element := range elements {
		if err := m.act("define", func() error {
			var target, on string
			if _, err := fmt.Sscanf(element, "%s on %s", &target, &on); err != nil {
				return err
			}
			m.disks[target].raised = on == "overlay"
			return nil
		}); err != nil {
			return err
		}
	}
	return m.act("sync", func() error { m.sync(); return nil })
}

// sync makes what is defined durable.
func (m *machine) sync() {
	for _, d := range m.disks {
		d.synced = d.raised
	}
}

// Forbid and Allow say whether the guest can be saved.
func (m *machine) Forbid(context.Context, string) error {
	return m.act("forbid", func() error {
		if !m.anchor {
			return errors.New("QEMU cannot open it")
		}
		m.anchored = true
		return nil
	})
}

func (m *machine) Allow(context.Context) error {
	return m.act("allow", func() error { m.anchored = false; return nil })
}

// save is libvirt's: it saves the guest, and starts it again with its disks where it believes them to be.
func (m *machine) save() {
	if m.anchored || !m.active {
		return
	}
	for _, d := range m.disks {
		if d.place == shield.OnOverlay {
			d.place = shield.OnBase
		}
		d.job, d.completing, d.node = false, false, false
	}
}

func (m *machine) DefinedOn(_ context.Context, all []shield.Overlay) ([]shield.Overlay, error) {
	var on []shield.Overlay
	err := m.act("defined on", func() error {
		for _, o := range all {
			if m.of(o).raised {
				on = append(on, o)
			}
		}
		return nil
	})
	return on, err
}

// folder is where the files are; its Commit is that of a domain that is off.
type folder struct{ *machine }

func (f folder) Commit(_ context.Context, o shield.Overlay) error {
	return f.act("commit off", func() error {
		if f.active {
			return errors.New("it is in use")
		}
		f.of(o).base, f.of(o).overlay = f.of(o).seen(shield.OnKnown), nil
		return nil
	})
}

func (f folder) Empty(all []shield.Overlay) error {
	return f.act("empty", func() error {
		for _, o := range all {
			if d := f.of(o); d.place != shield.OnBase || d.base != d.seen(shield.OnKnown) {
				panic("a write was thrown away")
			}
			f.of(o).overlay = nil
		}
		return nil
	})
}

func (f folder) Written(o shield.Overlay) (bool, error) {
	var written bool
	return written, f.act("look whether it is written", func() error {
		written = f.of(o).file && f.of(o).overlay != nil && !f.of(o).known
		return nil
	})
}

func (f folder) Known(o shield.Overlay) error {
	return f.act("note that it is known", func() error { f.of(o).known = true; return nil })
}

func (f folder) MakeAnchor(context.Context) (string, error) {
	return "anchor", f.act("make the anchor", func() error {
		if f.anchor {
			return errors.New("there is such a file")
		}
		f.anchor = true
		return nil
	})
}

func (f folder) RemoveAnchor() error {
	return f.act("unlink the anchor", func() error {
		if f.anchored {
			panic("the anchor was removed in use")
		}
		f.anchor = false
		return nil
	})
}

func (f folder) Unused(_ context.Context, o shield.Overlay) error {
	return f.act("look whether it is used", func() error {
		if f.active && f.of(o).place != shield.OnBase {
			return errors.New("it is in use")
		}
		return nil
	})
}

// handOver is libvirt's own switch to the overlays of disks that stay.
func (m *machine) handOver(context.Context) error {
	return m.act("switch by libvirt", func() error {
		for _, d := range m.disks {
			if !d.stays {
				continue
			}
			if d.place != shield.OnBase || d.node {
				return errors.New("libvirt cannot open the overlay")
			}
			d.place, d.raised, d.synced = shield.OnKnown, true, true
		}
		return nil
	})
}

// pause is what the window does: the guest goes on when the act is over, and not before it is aligned.
func (m *machine) pause(s *shield.Shield) func(context.Context, func(context.Context) error) error {
	return func(ctx context.Context, act func(context.Context) error) error {
		if err := m.act("pause", func() error { m.paused = true; return nil }); err != nil {
			return err
		}
		err := act(ctx)
		if err != nil && !errors.Is(err, shield.ErrNotReady) && m.left >= 0 {
			err = errors.Join(err, s.Align(ctx))
		}
		return errors.Join(err, m.act("resume", func() error { m.paused = false; return nil }))
	}
}

// revive is another program, which does not die.
func (m *machine) revive() { m.left, m.half = 1<<30, false }

// powerLoss ends QEMU. What the guest was told is durable is.
func (m *machine) powerLoss() {
	m.active, m.paused, m.anchored = false, false, false
	for _, d := range m.disks {
		d.job, d.completing, d.node, d.place = false, false, false, shield.OnBase
	}
}

// start starts the domain as its definition says, which lasts longer than a kernel keeps what nobody has synced.
func (m *machine) start() {
	m.sync()
	m.active = true
	for _, d := range m.disks {
		if d.raised {
			d.place = shield.OnKnown
		}
	}
}

var (
	_ shield.Domain = domain{}
	_ shield.Files  = folder{}
)

// domain puts the halves together.
type domain struct{ nodes }
