// Package journal keeps what is unfinished: one file for each domain that is being worked on, written before the first
// act and removed after the last.
//
// The first line of a file is the intent, with every name that may come to be; it is there as a whole or not at all. The
// lines behind it are notes of single acts. Each line has its own checksum. A note that was torn by a crash is as if it
// had not been written: whoever goes on then asks the storage.
package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/durable"
	"github.com/domsnap/domsnap/orchestrator/machine"
	"github.com/domsnap/domsnap/orchestrator/shield"
)

// Verb is what is being done.
type Verb string

// The verbs.
const (
	Create Verb = "create"
	Revert Verb = "revert"
	Delete Verb = "delete"
)

// Intent is a piece of work, with every name that may come to be.
type Intent struct {
	Verb    Verb      `json:"verb"`
	Domain  string    `json:"domain"`
	UUID    string    `json:"uuid"`
	Started time.Time `json:"started"`
	// Snapshot is the id that is created, reverted to or deleted, Name the name of one that is created.
	Snapshot string `json:"snapshot"`
	Name     string `json:"name,omitempty"`
	// Refs are the snapshot's disks.
	Refs []methods.Ref `json:"refs"`
	// Kept are the disks of the safety snapshot of a revert; Moving names those that the revert itself makes.
	Kept   []methods.Ref `json:"kept,omitempty"`
	Moving []string      `json:"moving,omitempty"`
	// Safety is the id of the safety snapshot.
	Safety string `json:"safety,omitempty"`
	// Renamed are the disks of other snapshots as they will be recorded after a delete.
	Renamed []methods.Ref `json:"renamed,omitempty"`
	// Disks are the disks of a revert as they were when it began.
	Disks []methods.Disk `json:"disks,omitempty"`
	// Hows are the ways of a revert, disk by disk.
	Hows []methods.How `json:"hows,omitempty"`
	// Whole says that a revert covers all disks of the snapshot. Back are the parts of the machine that it puts back, Gone
	// those that it takes away.
	Whole bool           `json:"whole,omitempty"`
	Back  []machine.Part `json:"back,omitempty"`
	Gone  []machine.Part `json:"gone,omitempty"`
	// Shield are the overlays that a create puts disks onto for a while.
	Shield []shield.Overlay `json:"shield,omitempty"`
	// State is the domain state to end in.
	State string `json:"state,omitempty"`
	// PowerOff says of a revert that nothing of it is done but that the domain is off, or soon will be: whoever comes after
	// us gives it Before, the state that it had, again.
	PowerOff bool   `json:"power_off,omitempty"`
	Before   string `json:"before,omitempty"`
	// Verify says that the disks of a revert are compared with the snapshot.
	Verify bool `json:"verify,omitempty"`
	// Reverted says that all disks of a revert are done, so that they must not be touched again.
	Reverted bool `json:"reverted,omitempty"`

	// Notes are what was put down since, in order.
	Notes []Note `json:"-"`
}

// Note is an act that is about to be done, or is done.
type Note struct {
	Act  string `json:"act"`
	Done bool   `json:"done"`
}

// Did says that the act is done. One that is not may be done, half done or not begun.
func (i *Intent) Did(act string) bool {
	return slices.Contains(i.Notes, Note{Act: act, Done: true})
}

// Journal is a directory of intents. Only the holder of a domain's lock writes its intent.
type Journal struct {
	Dir string
}

// ErrDamaged: the intent of a domain cannot be read. No crash does that; a disk or a person did.
var ErrDamaged = errors.New("the journal is damaged")

// Begin makes the intent durable. It replaces an intent of the same domain, notes and all.
func (j Journal) Begin(i Intent) error {
	if err := j.files().begin(i); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// Note makes a note durable, behind the intent of the domain, which is there.
func (j Journal) Note(uuid string, n Note) error {
	if err := j.files().note(uuid, n); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// Pending reads the intent of a domain and its notes. There being none is fs.ErrNotExist; it fails with ErrDamaged.
func (j Journal) Pending(uuid string) (*Intent, error) {
	i, err := j.files().pending(uuid)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read journal %s: %w", j.Path(uuid), err)
	}
	return i, err
}

// End removes the intent of a domain, durably. There being none is no error.
func (j Journal) End(uuid string) error {
	if err := j.files().end(uuid); err != nil {
		return fmt.Errorf("end journal: %w", err)
	}
	return nil
}

// Domains lists the UUIDs of the domains with unfinished work.
func (j Journal) Domains() ([]string, error) {
	uuids, err := durable.Disk{Dir: j.Dir}.Named(suffix)
	if err != nil {
		return nil, fmt.Errorf("list journal: %w", err)
	}
	return uuids, nil
}

// Path is the file of a domain.
func (j Journal) Path(uuid string) string { return filepath.Join(j.Dir, nameOf(uuid)) }

func (j Journal) files() files { return files{durable.Disk{Dir: j.Dir}} }
