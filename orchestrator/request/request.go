// Package request keeps what is asked for at a domain's next shutdown: one small file for each domain, so that a look at
// the directory says whether there is anything at all.
package request

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

// Revert is the revert that a domain gets when it is off.
type Revert struct {
	// Domain is the name that the domain had, for people; UUID is the domain.
	Domain string `json:"domain"`
	UUID   string `json:"uuid"`
	// Snapshot is an id, Name the name that it had.
	Snapshot string `json:"snapshot"`
	Name     string `json:"name"`
	// Disks are the targets to revert; none for all.
	Disks []string `json:"disks,omitempty"`
	Map   []Move   `json:"map,omitempty"`
	// After is the domain's state to end in: running, paused or shutoff.
	After    string    `json:"after"`
	NoSafety bool      `json:"no_safety,omitempty"`
	Verify   bool      `json:"verify,omitempty"`
	Asked    time.Time `json:"asked"`
	// Failed says why the last attempt, at Tried, did not work; empty for none.
	Failed string    `json:"failed,omitempty"`
	Tried  time.Time `json:"tried"`
	// Away says that the guest was last saved or migrated away: the domain is off, and was not shut down.
	Away bool `json:"away,omitempty"`
}

// Move says that a disk which was From in the snapshot is To by now.
type Move struct {
	From string `json:"from"`
	To   string `json:"to"`
}

const (
	// Limit is how many bytes a request may have.
	Limit = 64 << 10
	// textLimit is how many bytes of an error are kept.
	textLimit = 4 << 10
)

// ErrDamaged: a request cannot be read.
var ErrDamaged = errors.New("the request is damaged")

// parse reads one request, strictly: who does not know what is asked for does nothing.
func parse(text []byte) (*Revert, error) {
	if len(text) > Limit {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrDamaged, Limit)
	}
	body, err := durable.Unseal(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	var r Revert
	from := json.NewDecoder(bytes.NewReader(body))
	from.DisallowUnknownFields()
	if err := from.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if _, err := from.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: there is something behind it", ErrDamaged)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return &r, nil
}

// check wants what a revert cannot do without.
func (r *Revert) check() error {
	switch {
	case r.UUID == "" || r.Snapshot == "":
		return errors.New("it names no domain, or no snapshot")
	case !slices.Contains([]string{"running", "paused", "shutoff"}, r.After):
		return fmt.Errorf("the state to end in is %q", r.After)
	case slices.Contains(r.Disks, ""):
		return errors.New("it names a disk without a name")
	}
	for _, m := range r.Map {
		if m.From == "" || m.To == "" {
			return fmt.Errorf("it says that disk %q is %q", m.From, m.To)
		}
	}
	return nil
}

func (r Revert) text() ([]byte, error) {
	if len(r.Failed) > textLimit {
		r.Failed = strings.ToValidUTF8(r.Failed[:textLimit], "")
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	text, err := durable.Seal(r)
	if err == nil && len(text) > Limit {
		err = fmt.Errorf("it has more than %d bytes", Limit)
	}
	return text, err
}
