package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/hold"
)

// ExportOptions say which disk of which snapshot goes where: to a File, or to those who read at Socket.
type ExportOptions struct {
	Domain, Snapshot, Disk string
	// Since is the snapshot of which just the differences are wanted; empty for all of the disk.
	Since string
	// File is an absolute path, Format export.Raw or export.Qcow2.
	File, Format string
	// Socket is the absolute path of a socket that others read at. Ready is called when they can; may be nil.
	Socket string
	Ready  func()
}

// Exported is what an export did.
type Exported struct {
	Domain string `json:"domain"`
	Name   string `json:"name"`
	Disk   string `json:"disk"`
	File   string `json:"file,omitempty"`
	// ExtentsFile lists what of a raw file is to be written over the older content.
	ExtentsFile string `json:"extents_file,omitempty"`
	NBD         string `json:"nbd,omitempty"`
	// Context is what a reader asks the NBD server for to learn what has changed.
	Context string `json:"context,omitempty"`
	Format  string `json:"format"`
	// Size is the disk's.
	Size  int64   `json:"size"`
	Since *string `json:"since"`
	// Extents is how many have changed; 0 without Since.
	Extents int `json:"extents"`
	// BytesWritten is what went into the file, without holes.
	BytesWritten int64 `json:"bytes_written"`
	// Deleted are the snapshots that were to be deleted when they had been read.
	Deleted []string `json:"deleted"`
}

// Export gives others the content of a disk's snapshot. As long as it lasts the snapshot stays: who deletes it meanwhile has
// it deleted at the end. The domain's lock is not held while it is read.
func (o *Orchestrator) Export(ctx context.Context, opts ExportOptions) (_ *Exported, err error) {
	e, err := o.hold(ctx, opts)
	if err != nil {
		return nil, err
	}
	err = e.run(ctx)
	// A context that has ended ends nothing here: what was told to stop tidies up.
	if errEnd := e.end(context.WithoutCancel(ctx)); err != nil || errEnd != nil {
		return nil, errors.Join(err, errEnd)
	}
	return &e.result, nil
}

// exporting is one Export at work.
type exporting struct {
	*operation
	opts   ExportOptions
	method methods.Method
	ref    methods.Ref
	// since is what it is compared with; nil for nothing.
	since  *methods.Ref
	disk   methods.Disk
	holds  []*hold.Hold
	result Exported
}

// hold finds what is to be exported and holds it. The domain's lock is let go again.
func (o *Orchestrator) hold(ctx context.Context, opts ExportOptions) (_ *exporting, err error) {
	ctx, op, err := o.begin(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	e := &exporting{operation: op, opts: opts}
	defer func() {
		err = errors.Join(err, op.end())
		if err != nil {
			err = errors.Join(err, e.release())
		}
	}()
	if err := e.find(ctx); err != nil {
		return nil, err
	}
	for _, ref := range e.toHold() {
		h, err := op.holds.Take(op.desc.UUID, hold.Note{
			Snapshot: ref.Snapshot, Disk: ref.Disk.Target, PID: os.Getpid(), For: "snapshot-export", Since: op.Now().UTC(),
		})
		if err != nil {
			return nil, err
		}
		e.holds = append(e.holds, h)
	}
	return e, nil
}

// find reads what is recorded, of which nothing changes as long as it is held.
func (e *exporting) find(ctx context.Context) error {
	var err error
	if e.ref, err = e.readable(e.opts.Snapshot); err != nil {
		return err
	}
	if e.method, err = e.Methods.Get(e.ref.Method, e.ref.Mode); err != nil {
		return err
	}
	if e.disk, err = e.present(ctx, e.opts.Disk); err != nil {
		return err
	}
	e.result = Exported{
		Domain: e.desc.Name, Name: e.called(e.ref.Snapshot), Disk: e.opts.Disk, File: e.opts.File,
		Format: e.opts.Format, Deleted: []string{},
	}
	if e.opts.Since == "" {
		return nil
	}
	since, err := e.readable(e.opts.Since)
	if err != nil {
		return err
	}
	name := e.called(since.Snapshot)
	e.since, e.result.Since = &since, &name
	return e.checkPair()
}

// readable is the disk of a snapshot that may be read.
func (e *exporting) readable(name string) (methods.Ref, error) {
	s, err := e.snapshot(name)
	if err != nil {
		return methods.Ref{}, err
	}
	if state := e.stateOf(s); state != StateAvailable {
		return methods.Ref{}, refuse("", "snapshot %s is %s: %s", s.Name, state, s.Reason)
	}
	for _, ref := range e.refs(s) {
		if ref.Disk.Target == e.opts.Disk {
			return ref, nil
		}
	}
	return methods.Ref{}, NotFoundf("snapshot %q has no disk %q", s.Name, e.opts.Disk)
}

// checkPair refuses two snapshots that are not of one disk by one method: nobody could say what differs.
func (e *exporting) checkPair() error {
	old, now := *e.since, e.ref
	target, name, since := e.opts.Disk, e.result.Name, *e.result.Since
	switch {
	case old.Snapshot == now.Snapshot:
		return &Problem{Kind: ErrUsage, Err: fmt.Errorf("--since %s: that is the snapshot itself", since)}
	case !e.alike(old, now):
		return refuse("export it without --since", "disk %s was taken by method %s in snapshot %s, and by %s in %s",
			target, old.Method, since, now.Method, name)
	case old.Size != now.Size:
		return refuse("export it without --since", "disk %s has %d bytes in snapshot %s, and %d in %s", target, old.Size, since, now.Size, name)
	case old.Disk.Serial != now.Disk.Serial, !e.method.Traits().MovesSource && old.Origin != now.Origin:
		return refuse("export it without --since", "disk %s is another one in snapshot %s (%s) than in %s (%s)",
			target, since, old.Origin, name, now.Origin)
	}
	return nil
}

// toHold is what has to stay until the end.
func (e *exporting) toHold() []methods.Ref {
	if e.since == nil {
		return []methods.Ref{e.ref}
	}
	return []methods.Ref{e.ref, *e.since}
}
