// Package orchestrator is the verbs of domsnap: each takes a domain's name and options and gives back plain data.
//
// Three records have one meaning each. The storage says what exists. The lineage in the domain's metadata says
// what is finished; one write of it is the commit point. The journal says what is unfinished; an empty journal is
// the healthy state.
package orchestrator

import (
	"context"
	"path/filepath"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/orchestrator/base"
	"github.com/domsnap/domsnap/orchestrator/hold"
	"github.com/domsnap/domsnap/orchestrator/journal"
	"github.com/domsnap/domsnap/orchestrator/machine"
	"github.com/domsnap/domsnap/orchestrator/request"
	"github.com/domsnap/domsnap/orchestrator/shelf"
	"github.com/domsnap/domsnap/orchestrator/shield"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

// Hypervisor finds domains.
type Hypervisor interface {
	// Domain finds a domain by name, id or UUID; it fails with ErrNotFound.
	Domain(ctx context.Context, name string) (Domain, error)
	// Domains are the UUIDs of all domains that there are.
	Domains(ctx context.Context) ([]string, error)
	// Volume says where a volume of a storage pool lives.
	Volume(ctx context.Context, pool, name string) (xmlspec.DiskSource, error)
}

// Domain is one domain.
type Domain interface {
	quiesce.Guest
	Power
	Records
	Mirror
	// UUID is what it is known by for good.
	UUID() string
	// Describe reads what the domain is now: the live state where it is active.
	Describe(ctx context.Context) (*Description, error)
	// Definition is what the next start of a persistent domain begins with.
	Definition(ctx context.Context) (*xmlspec.Domain, error)
	// SetSource points a disk of the persistent definition at another file, which has to be there.
	SetSource(ctx context.Context, target, file, format string) error
	// Shielded is the domain as a shield sees it.
	Shielded() shield.Domain
	// CoveredDisks asks the agent on how many disks file systems are mounted.
	CoveredDisks(ctx context.Context) (int, error)
}

// Records are what libvirt knows of a domain's snapshots.
type Records interface {
	// Metadata is the lineage as it was last written; empty when there is none.
	Metadata(ctx context.Context) (string, error)
	// SetMetadata writes the lineage to the live and the persistent definition, durably.
	SetMetadata(ctx context.Context, text string) error
}

// Mirror is what libvirt shows as snapshots of its own.
type Mirror interface {
	// Shown are the names of all that it shows, whoever has made them.
	Shown(ctx context.Context) ([]string, error)
	// Show adds a snapshot of ours.
	Show(ctx context.Context, r xmlspec.Reflection) error
	// Hide takes one away again that Show has added, and leaves any other.
	Hide(ctx context.Context, name string) error
}

// Power turns a domain on and off.
type Power interface {
	// Start boots a domain that is off, or leaves it paused before its first instruction.
	Start(ctx context.Context, paused bool) error
	// PowerOff stops the domain at once; one that is off is no error.
	PowerOff(ctx context.Context) error
}

// Description is a domain at one moment.
type Description struct {
	xmlspec.Domain
	State      State
	Persistent bool
	// Stopped: it is paused because QEMU could not write, and nobody has paused it.
	Stopped bool
	// Saved: the domain is off and libvirt has its memory, with which the next start goes on.
	Saved bool
	// Ending is how a domain that is off came to be so.
	Ending Ending
}

// Ending is how a domain came to be off, as far as libvirt knows.
type Ending string

// The endings.
const (
	// EndUnknown: libvirt was started since, or the domain was never on.
	EndUnknown Ending = ""
	// EndDown: the guest was shut down, was powered off, or crashed.
	EndDown Ending = "down"
	// EndAway: the guest goes on, elsewhere or later: it was migrated, or its memory is in a file.
	EndAway Ending = "away"
)

// Active says that QEMU has the disks open.
func (d *Description) Active() bool { return d.State != Shutoff }

// State is a domain's state, as far as it matters here.
type State string

// The states, as the command line prints them.
const (
	Running State = "running"
	Paused  State = "paused"
	Shutoff State = "shutoff"
)

// GuardianProcess is a guardian that is ready.
type GuardianProcess interface {
	quiesce.Guardian
	// Dismiss ends the guardian once nothing is held any more.
	Dismiss() error
}

// Config is what an Orchestrator is made of.
type Config struct {
	Hypervisor Hypervisor
	Methods    methods.Set
	// DiskAccess opens disks for the generic revert.
	DiskAccess methods.Disks
	// StateDir is where locks and the journal live; it is made when it is missing.
	StateDir string
	Guardian StartGuardian
	// Serve has others read an image until ctx ends or they have gone; nil for QEMU's own server.
	Serve func(ctx context.Context, e image.Export) error
	// Run runs qemu-img for shields; nil for none, and so no shields.
	Run command.Runner
	// Watch is told of every step; may be nil.
	Watch func(Event)
	// Now is the clock; nil for the real one.
	Now func() time.Time
}

// Orchestrator runs the verbs.
type Orchestrator struct {
	Config
	journal  journal.Journal
	shelf    shelf.Shelf
	machines machine.Store
	holds    hold.Store
	bases    base.Store
	requests request.Store
}

// New makes an Orchestrator. It does nothing yet.
func New(c Config) *Orchestrator {
	if c.Watch == nil {
		c.Watch = func(Event) {}
	}
	if c.Serve == nil {
		c.Serve = func(ctx context.Context, e image.Export) error { return e.Serve(ctx) }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Orchestrator{
		Config: c, journal: journalOf(c.StateDir),
		shelf:    shelf.Shelf{Dir: filepath.Join(c.StateDir, "domains")},
		machines: machine.Store{Dir: filepath.Join(c.StateDir, "machines")},
		holds:    hold.Store{Dir: filepath.Join(c.StateDir, "holds")},
		bases:    base.Store{Dir: filepath.Join(c.StateDir, "replicas")},
		requests: requestsOf(c.StateDir),
	}
}
