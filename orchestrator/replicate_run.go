package orchestrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// run moves what is held.
func (r *replicating) run(ctx context.Context) (err error) {
	if err := r.findChanges(ctx); err != nil {
		return err
	}
	contents := make(map[string]methods.Content, len(r.refs))
	defer func() {
		for _, c := range contents {
			err = errors.Join(err, c.Close())
		}
	}()
	for _, ref := range r.refs {
		content, err := r.open(ctx, ref)
		if err != nil {
			return fmt.Errorf("open disk %s of snapshot %s: %w", ref.Disk.Target, r.manifest.Name, err)
		}
		contents[ref.Disk.Target] = content
		r.manifest.Disks = append(r.manifest.Disks, replica.Disk{
			Target: ref.Disk.Target, Size: content.Size(), Method: ref.Method, Mode: ref.Mode, Format: ref.Disk.Format,
		})
	}
	to, err := r.opts.Place.Begin(ctx, r.manifest)
	if err != nil {
		return err
	}
	err = r.fill(ctx, to, contents)
	return errors.Join(err, to.Close())
}

func (r *replicating) open(ctx context.Context, ref methods.Ref) (methods.Content, error) {
	m, err := r.Methods.Get(ref.Method, ref.Mode)
	if err != nil {
		return nil, err
	}
	return m.Open(ctx, ref)
}

func (r *replicating) fill(ctx context.Context, to replica.Inbox, contents map[string]methods.Content) error {
	there := to.Manifest()
	r.result.State = there.State
	if there.Base != "" {
		name := r.called(there.Base)
		r.result.Base = &name
	}
	if there.State == replica.Complete {
		r.result.Already = true
		return nil
	}
	r.result.Resumed = there.Done() > 0
	for _, ref := range r.refs {
		if err := r.send(ctx, to, ref, contents[ref.Disk.Target]); err != nil {
			return err
		}
	}
	if err := to.Finish(ctx); err != nil {
		return err
	}
	r.result.State = replica.Complete
	return nil
}

func (r *replicating) send(ctx context.Context, to replica.Inbox, ref methods.Ref, content methods.Content) error {
	target := ref.Disk.Target
	done := ReplicatedDisk{Target: target, Size: content.Size(), How: HowFull}
	s := replica.Sending{Disk: target, Content: content}
	there := to.Manifest()
	if d, ok := there.Disk(target); ok && d.Based {
		changed, how := r.changed(there.Base, target)
		done.How, s.Partial, s.Changed = how, how == methods.HowChangedExtents, changed
	}
	name := "replicate " + target
	s.Progress = r.progress(name)
	err := r.runner().run(ctx, step{name: name, do: func(ctx context.Context) error {
		sent, err := replica.Send(ctx, to, s)
		done.BytesRead, done.BytesMoved = sent.Read, sent.Moved
		return err
	}})
	r.result.Disks = append(r.result.Disks, done)
	r.result.BytesMoved += done.BytesMoved
	if errors.Is(err, methods.ErrDiffers) && s.Partial {
		err = &Problem{Kind: ErrRefused, Err: err, Hint: "read all of it: --compare"}
	}
	return err
}

// findChanges asks the storages what differs from the base, before the snapshot is opened: those with connections have one for
// both.
func (r *replicating) findChanges(ctx context.Context) error {
	for _, ref := range r.refs {
		since, ok := r.since[ref.Disk.Target]
		if !ok {
			continue
		}
		m, err := r.Methods.Get(ref.Method, ref.Mode)
		if err != nil {
			return err
		}
		var changed []methods.Extent
		err = r.runner().run(ctx, step{name: "find what has changed on " + ref.Disk.Target, do: func(ctx context.Context) (err error) {
			changed, err = methods.Changes(ctx, m, methods.ChangesRequest{From: since, To: &ref, Disk: r.disks[ref.Disk.Target]})
			return err
		}})
		if err == nil {
			r.differing[ref.Disk.Target] = changed
		} else if !errors.Is(err, methods.ErrUnsupported) {
			return err
		}
	}
	return nil
}

// changed is what differs from the replica's base, where the storage knows; else all has to be compared.
func (r *replicating) changed(base, target string) ([]methods.Extent, methods.How) {
	changed, ok := r.differing[target]
	if !ok || base != r.manifest.Base {
		return nil, methods.HowCompare
	}
	return changed, methods.HowChangedExtents
}
