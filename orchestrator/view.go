package orchestrator

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/hold"
	"github.com/domsnap/domsnap/orchestrator/lease"
	"github.com/domsnap/domsnap/xmlspec"
)

// Snapshot is one snapshot as the verbs answer it.
type Snapshot struct {
	Domain      string    `json:"domain"`
	DomainUUID  string    `json:"domain_uuid"`
	Name        string    `json:"name"`
	ID          string    `json:"id"`
	Parent      *string   `json:"parent"`
	Description string    `json:"description"`
	Created     time.Time `json:"created"`
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Current     bool      `json:"current"`
	Temporary   bool      `json:"temporary"`
	// Until is when a temporary snapshot goes at the latest; absent where only its holder's end decides.
	Until  *time.Time `json:"until,omitempty"`
	Safety bool       `json:"safety"`
	// RevertAtShutdown says that the domain reverts to it at its next shutdown.
	RevertAtShutdown bool `json:"revert_at_shutdown"`
	// Machine is what is kept besides the disks and the definition: nvram, tpm.
	Machine     []string       `json:"machine"`
	Consistency Consistency    `json:"consistency"`
	Disks       []SnapshotDisk `json:"disks"`
	// Dependents are the snapshots that derive from it, who reads it, and the increments of replicas that begin with it.
	Dependents []string `json:"dependents"`
	// Holds are those who read it, so that it stays meanwhile.
	Holds []hold.Note `json:"holds"`
	// Increments are those of replicas to come, which begin with it.
	Increments []string `json:"increments"`
}

// Children is how many snapshots derive from it.
func (s *Snapshot) Children() int { return len(s.Dependents) - len(s.Holds) - len(s.Increments) }

// Consistency is what was true while the snapshot was taken.
type Consistency struct {
	Level             string   `json:"level"`
	FrozenMS          int64    `json:"frozen_ms"`
	PausedMS          int64    `json:"paused_ms"`
	ShieldedMS        int64    `json:"shielded_ms"`
	CommitMS          int64    `json:"commit_ms"`
	HeldBy            *string  `json:"held_by"`
	FilesystemsFrozen int      `json:"filesystems_frozen"`
	FilesystemsThawed int      `json:"filesystems_thawed"`
	Skipped           []string `json:"skipped"`
}

// SnapshotDisk is one disk of a snapshot.
type SnapshotDisk struct {
	Target string `json:"target"`
	Method string `json:"method"`
	Mode   string `json:"mode"`
	// Source is where the disk lives now; empty when the domain has no such disk any more.
	Source    string `json:"source"`
	Ref       string `json:"ref"`
	BytesUsed *int64 `json:"bytes_used"`
	// ModifiedDisk is the disk's XML where the snapshot put it onto another source.
	ModifiedDisk  *string              `json:"modified_disk"`
	BackupSource  methods.BackupSource `json:"backup_source"`
	InPlaceRevert bool                 `json:"in_place_revert"`
}

// relatives are the names of a snapshot's parent and of its children.
type relatives struct {
	parent   *string
	children []string
}

func (op *operation) view(ctx context.Context, s *xmlspec.LineageSnapshot) *Snapshot {
	return op.viewOf(ctx, s, relatives{op.nameOf(s.Parent), op.children(s.ID)})
}

// viewAll goes over the lineage twice, and not once for each snapshot.
func (op *operation) viewAll(ctx context.Context) []*Snapshot {
	all := op.lineage.Snapshots
	children, names := map[string][]string{}, make(map[string]*string, len(all))
	for i := range all {
		names[all[i].ID] = &all[i].Name
		children[all[i].Parent] = append(children[all[i].Parent], all[i].Name)
	}
	list := make([]*Snapshot, len(all))
	for i := range all {
		list[i] = op.viewOf(ctx, &all[i], relatives{names[all[i].Parent], children[all[i].ID]})
	}
	return list
}

func (op *operation) viewOf(ctx context.Context, s *xmlspec.LineageSnapshot, r relatives) *Snapshot {
	v := &Snapshot{
		Domain: op.desc.Name, DomainUUID: op.desc.UUID, Name: s.Name, ID: s.ID, Parent: r.parent,
		Description: s.Description, Created: time.Unix(s.Created, 0).UTC(), State: op.stateOf(s),
		Reason: s.Reason, Current: op.lineage.Current == s.ID, Safety: s.Safety, RevertAtShutdown: op.asksFor(s.ID),
		Machine: nonNil(strings.Fields(s.Machine)),
		Consistency: Consistency{
			Level: s.Level, FrozenMS: s.FrozenMS, PausedMS: s.PausedMS,
			ShieldedMS: s.ShieldedMS, CommitMS: s.CommitMS,
			FilesystemsFrozen: s.Frozen, FilesystemsThawed: s.Thawed, Skipped: nonNil(s.Skipped),
		},
		Disks: []SnapshotDisk{}, Dependents: nonNil(r.children), Holds: op.holdsOf(s.ID), Increments: op.incrementsOf(s.ID),
	}
	for _, n := range v.Holds {
		v.Dependents = append(v.Dependents, n.String())
	}
	v.Dependents = append(v.Dependents, v.Increments...)
	l := leaseOf(s)
	v.Temporary = l != lease.Lease{}
	if !l.Until.IsZero() {
		v.Until = &l.Until
	}
	if s.HeldBy != "" {
		v.Consistency.HeldBy = &s.HeldBy
	}
	for _, ref := range op.refs(s) {
		v.Disks = append(v.Disks, op.viewDisk(ctx, ref))
	}
	return v
}

func (op *operation) viewDisk(ctx context.Context, ref methods.Ref) SnapshotDisk {
	v := SnapshotDisk{Target: ref.Disk.Target, Method: ref.Method, Mode: ref.Mode, Ref: ref.Name}
	now, known := op.desc.Disk(ref.Disk.Target)
	if known {
		v.Source = toSource(now.Source).String()
	}
	if known && ref.Active != "" && v.Source == ref.Active {
		v.ModifiedDisk = &now.XML
	}
	m, err := op.Methods.Get(ref.Method, ref.Mode)
	if err != nil {
		return v
	}
	v.InPlaceRevert = methods.VerbsOf(m).Revert || op.DiskAccess != nil
	// A snapshot that nobody else can read is shown without.
	v.BackupSource, _ = methods.SourceOf(ctx, m, ref)
	return v
}

// withUsage asks the storages how much room the snapshot takes, which may take a while.
func (op *operation) withUsage(ctx context.Context, s *xmlspec.LineageSnapshot, v *Snapshot) error {
	for i, ref := range op.refs(s) {
		m, err := op.Methods.Get(ref.Method, ref.Mode)
		if err != nil {
			continue
		}
		info, err := m.Stat(ctx, ref)
		switch {
		case errors.Is(err, methods.ErrNotFound), errors.Is(err, methods.ErrBroken):
			v.State, v.Reason = StateBroken, err.Error()
		case errors.Is(err, methods.ErrUnsupported):
		case err != nil:
			return err
		case info.BytesUsed >= 0:
			v.Disks[i].BytesUsed = &info.BytesUsed
		default:
			v.Disks[i].BytesUsed = op.kept(ctx, m, ref)
		}
	}
	return nil
}

// kept is what differs between a snapshot and the next one, or the disk as it is now: that much the snapshot keeps
// alive. It is nil where nobody can say.
func (op *operation) kept(ctx context.Context, m methods.Method, ref methods.Ref) *int64 {
	disk, err := op.present(ctx, ref.Disk.Target)
	req := methods.ChangesRequest{From: ref, To: op.next(ref), Disk: disk}
	if err != nil || req.To == nil && disk.Domain.Active {
		return nil
	}
	extents, err := methods.Changes(ctx, m, req)
	if err != nil {
		return nil
	}
	total := methods.TotalLength(extents)
	return &total
}

// next is the same disk in the snapshot taken next by the same method; nil for the youngest.
func (op *operation) next(ref methods.Ref) *methods.Ref {
	behind := false
	for i := range op.lineage.Snapshots {
		s := &op.lineage.Snapshots[i]
		if s.ID == ref.Snapshot {
			behind = true
			continue
		}
		for _, r := range op.refs(s) {
			if behind && op.alike(r, ref) {
				return &r
			}
		}
	}
	return nil
}

func (op *operation) children(id string) []string {
	var names []string
	for _, s := range op.lineage.Snapshots {
		if s.Parent == id {
			names = append(names, s.Name)
		}
	}
	return names
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
