package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/shield"
	"github.com/domsnap/domsnap/quiesce/quiescetest"
	"github.com/domsnap/domsnap/xmlspec"
)

// fakeHost is a hypervisor with one domain and one storage pool.
type fakeHost struct {
	domain  *fakeDomain
	volumes map[string]xmlspec.DiskSource
}

func (h *fakeHost) Domain(_ context.Context, name string) (orchestrator.Domain, error) {
	if name != h.domain.name && name != h.domain.uuid {
		return nil, orchestrator.NotFoundf("there is no domain %q", name)
	}
	return h.domain, nil
}

func (h *fakeHost) Domains(context.Context) ([]string, error) { return []string{h.domain.uuid}, nil }

func (h *fakeHost) Volume(_ context.Context, pool, name string) (xmlspec.DiskSource, error) {
	source, ok := h.volumes[pool+"/"+name]
	if !ok {
		return source, orchestrator.NotFoundf("there is no volume %q in pool %q", name, pool)
	}
	return source, nil
}

// fakeDomain is a domain whose definition is a list of <disk> elements and whose CPUs and agent are a
// quiescetest.Guest.
type fakeDomain struct {
	*quiescetest.Guest
	name, uuid string

	mu        sync.Mutex
	on        bool
	transient bool
	saved     bool
	// ending is how it went off; enter says nothing of it.
	ending orchestrator.Ending
	disks  []fakeDisk
	// defined are the disks of the definition where that is another one than what runs.
	defined  []fakeDisk
	metadata string
	// written is the metadata in the domain's file. Where the directory is full libvirt shows what it is told all the same,
	// until its daemon ends.
	written string
	full    bool
	shown   []string
	// firmware are further elements, as <os>, devices those of <devices>.
	firmware, devices string
	uncovered         bool
	writeFails        func() error
	startFails        error
	// hook is asked before a start, as libvirt does.
	hook     func() error
	offFails error
	shield   shield.Domain
	// stopped: who has paused it is QEMU.
	stopped bool
}

// What writeFails can say of a write that nobody hears of again: that it does not come, or that it does.
var (
	errLost    = errors.New("the write does not come")
	errUnheard = errors.New("the answer to the write does not come")
)

// otherMetadata is what somebody else has put into the domain's metadata.
const otherMetadata = "none of our business"

// fakeDisk is a <disk>; extra are further elements, as <readonly/>.
type fakeDisk struct {
	target, device, file, cache, extra string
	// source replaces the whole <source> and type, as for a volume.
	kind, source string
}

func (d fakeDisk) xml() string {
	kind, source := d.kind, d.source
	if kind == "" {
		kind, source = "file", fmt.Sprintf("<source file='%s'/>", d.file)
	}
	device := d.device
	if device == "" {
		device = "disk"
	}
	cache := ""
	if d.cache != "" {
		cache = fmt.Sprintf(" cache='%s'", d.cache)
	}
	return fmt.Sprintf("<disk type='%s' device='%s'><driver name='qemu' type='raw'%s/>%s<target dev='%s' bus='virtio'/>%s</disk>",
		kind, device, cache, source, d.target, d.extra)
}

func (d *fakeDomain) xml() string {
	var disks strings.Builder
	for _, disk := range d.disks {
		disks.WriteString(disk.xml())
	}
	return fmt.Sprintf("<domain type='kvm'><name>%s</name><uuid>%s</uuid><metadata><m:m xmlns:m='urn:m'>%s</m:m></metadata>%s<devices>%s%s</devices></domain>",
		d.name, d.uuid, otherMetadata, d.firmware, disks.String(), d.devices)
}

func (d *fakeDomain) id() xmlspec.DomainID { return xmlspec.DomainID{Name: d.name, UUID: d.uuid} }

// edit changes the domain as its administrator would.
func (d *fakeDomain) edit(change func(*fakeDomain)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *fakeDomain) Describe(ctx context.Context) (*orchestrator.Description, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	parsed, err := xmlspec.ParseDomain(d.xml())
	if err != nil {
		return nil, err
	}
	return &orchestrator.Description{
		Domain: *parsed, State: d.state(), Stopped: d.stopped, Persistent: !d.transient, Saved: d.saved, Ending: d.ending,
	}, nil
}

// UUID implements orchestrator.Domain.
func (d *fakeDomain) UUID() string { return d.uuid }

// Definition implements orchestrator.Domain.
func (d *fakeDomain) Definition(context.Context) (*xmlspec.Domain, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.defined == nil {
		return xmlspec.ParseDomain(d.xml())
	}
	other := fakeDomain{name: d.name, uuid: d.uuid, disks: d.defined}
	return xmlspec.ParseDomain(other.xml())
}

// Shielded implements orchestrator.Domain.
func (d *fakeDomain) Shielded() shield.Domain { return d.shield }

func (d *fakeDomain) state() orchestrator.State {
	if !d.on {
		return orchestrator.Shutoff
	}
	if _, paused := d.State(); paused {
		return orchestrator.Paused
	}
	return orchestrator.Running
}

func (d *fakeDomain) Metadata(context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.metadata, nil
}

func (d *fakeDomain) Shown(context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.shown), nil
}

func (d *fakeDomain) Show(_ context.Context, r xmlspec.Reflection) error {
	d.edit(func(d *fakeDomain) { d.shown = append(d.shown, r.Name) })
	return nil
}

// Hide leaves what begins as snapshots of others do here.
func (d *fakeDomain) Hide(_ context.Context, name string) error {
	if !strings.HasPrefix(name, "by-") {
		d.edit(func(d *fakeDomain) { d.shown = slices.DeleteFunc(d.shown, func(s string) bool { return s == name }) })
	}
	return nil
}

func (d *fakeDomain) SetMetadata(ctx context.Context, text string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	if d.writeFails != nil {
		err = d.writeFails()
	}
	switch {
	case errors.Is(err, errLost), errors.Is(err, errUnheard):
		<-ctx.Done()
		if errors.Is(err, errUnheard) {
			d.metadata = text
		}
		return ctx.Err()
	case err != nil:
		return err
	}
	d.metadata = text
	if d.full {
		return errPlanned
	}
	d.written = text
	return nil
}

// daemonEnds has libvirt forget what is not in its files.
func (d *fakeDomain) daemonEnds() { d.edit(func(d *fakeDomain) { d.metadata = d.written }) }

func (d *fakeDomain) SetSource(_ context.Context, target, file, _ string) error {
	d.edit(func(d *fakeDomain) {
		disks := d.disks
		if d.defined != nil {
			disks = d.defined
		}
		for i := range disks {
			if disks[i].target == target {
				disks[i].file = file
			}
		}
	})
	return nil
}

func (d *fakeDomain) CoveredDisks(context.Context) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uncovered {
		return 0, nil
	}
	return len(d.disks), nil
}

// Start implements orchestrator.Power. As with libvirt, a domain that is on cannot be started.
func (d *fakeDomain) Start(ctx context.Context, paused bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(ctx.Err(), d.startFails); err != nil {
		return err
	}
	if d.on {
		return errors.New("domain is already running")
	}
	if err := d.hook(); err != nil {
		return fmt.Errorf("hook script execution failed: %w", err)
	}
	d.on = true
	d.SetState(0, paused)
	return nil
}

// PowerOff implements orchestrator.Power. A transient domain would be gone; no test gets that far.
func (d *fakeDomain) PowerOff(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(ctx.Err(), d.offFails); err != nil {
		return err
	}
	d.on = false
	d.SetState(0, false)
	return nil
}

var (
	_ orchestrator.Hypervisor = (*fakeHost)(nil)
	_ orchestrator.Domain     = (*fakeDomain)(nil)
)
