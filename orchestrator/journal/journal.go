// Package journal keeps what is unfinished: one file for each domain that is being worked on, written before the first
// act and removed after the last.
package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/domsnap/domsnap/methods"
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
	// Snapshot is the id that is created, reverted to or deleted.
	Snapshot string `json:"snapshot"`
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
	// Whole says that a revert covers all disks of the snapshot.
	Whole bool `json:"whole,omitempty"`
	// State is the domain state to end in.
	State string `json:"state,omitempty"`
	// Reverted says that all disks of a revert are done, so that they must not be touched again.
	Reverted bool `json:"reverted,omitempty"`
}

// Journal is a directory of intents. Only the holder of a domain's lock writes its intent.
type Journal struct {
	Dir string
}

// envelope guards an intent against a torn write.
type envelope struct {
	SHA256 string          `json:"sha256"`
	Intent json.RawMessage `json:"intent"`
}

// Begin makes the intent durable. It replaces an intent of the same domain.
func (j Journal) Begin(i Intent) error {
	body, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	text, err := json.Marshal(envelope{SHA256: digest(body), Intent: body})
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := os.MkdirAll(j.Dir, 0o700); err != nil {
		return fmt.Errorf("make journal directory: %w", err)
	}
	if err := replace(j.path(i.UUID), text); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// Pending reads the intent of a domain. There being none is fs.ErrNotExist.
func (j Journal) Pending(uuid string) (*Intent, error) {
	text, err := os.ReadFile(j.path(uuid))
	if err != nil {
		return nil, err
	}
	i, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("read journal %s: %w", j.path(uuid), err)
	}
	return i, nil
}

func decode(text []byte) (*Intent, error) {
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, err
	}
	if digest(e.Intent) != e.SHA256 {
		return nil, errors.New("checksum differs")
	}
	var i Intent
	if err := json.Unmarshal(e.Intent, &i); err != nil {
		return nil, err
	}
	return &i, nil
}

// End removes the intent of a domain, durably. There being none is no error.
func (j Journal) End(uuid string) error {
	err := os.Remove(j.path(uuid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end journal: %w", err)
	}
	return syncDir(j.Dir)
}

// Domains lists the UUIDs of the domains with unfinished work.
func (j Journal) Domains() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(j.Dir, "*"+suffix))
	if err != nil {
		return nil, fmt.Errorf("list journal: %w", err)
	}
	uuids := make([]string, 0, len(files))
	for _, f := range files {
		name := filepath.Base(f)
		uuids = append(uuids, name[:len(name)-len(suffix)])
	}
	return uuids, nil
}

const suffix = ".json"

func (j Journal) path(uuid string) string {
	return filepath.Join(j.Dir, filepath.Base(uuid)+suffix)
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// replace writes a file so that after a crash it is whole, or as it was.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
