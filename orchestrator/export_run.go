package orchestrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/orchestrator/export"
)

// run reads what is held.
func (e *exporting) run(ctx context.Context) (err error) {
	content, err := e.method.Open(ctx, e.ref)
	if err != nil {
		return fmt.Errorf("open disk %s of snapshot %s: %w", e.opts.Disk, e.result.Name, err)
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	e.result.Size = content.Size()
	changed, err := e.changes(ctx)
	if err != nil {
		return err
	}
	e.result.Extents = len(changed)
	if e.opts.Socket != "" {
		return e.serve(ctx, changed)
	}
	return e.write(ctx, content, changed)
}

func (e *exporting) changes(ctx context.Context) (changed []methods.Extent, err error) {
	if e.since == nil {
		return nil, nil
	}
	step := step{name: "find what has changed on " + e.opts.Disk, do: func(ctx context.Context) error {
		changed, err = methods.Changes(ctx, e.method, methods.ChangesRequest{From: *e.since, To: &e.ref, Disk: e.disk})
		return err
	}}
	err = e.runner().run(ctx, step)
	if errors.Is(err, methods.ErrUnsupported) {
		err = &Problem{Kind: ErrRefused, Err: err, Hint: "export it without --since"}
	}
	return changed, err
}

func (e *exporting) write(ctx context.Context, content methods.Content, changed []methods.Extent) error {
	name := "export " + e.opts.Disk
	f := export.File{
		Path: e.opts.File, Format: e.opts.Format, Content: content,
		Partial: e.since != nil, Changed: changed, Progress: e.progress(name),
	}
	if f.Partial && f.Format == export.Raw {
		e.result.ExtentsFile = f.Path + export.ExtentsSuffix
	}
	return e.runner().run(ctx, step{name: name, do: func(ctx context.Context) (err error) {
		e.result.BytesWritten, err = f.Write(ctx)
		return err
	}})
}

func (e *exporting) serve(ctx context.Context, changed []methods.Extent) error {
	source, err := methods.SourceOf(ctx, e.method, e.ref)
	served := image.Export{
		Socket: e.opts.Socket, Marked: e.since != nil, Changed: changed, Size: e.result.Size,
		Keep: e.holds[0].File, Ready: e.opts.Ready,
	}
	if err == nil {
		served.Image, err = image.FromSource(source)
	}
	if errors.Is(err, methods.ErrUnsupported) {
		return &Problem{Kind: ErrRefused, Err: fmt.Errorf("serve disk %s: %w", e.opts.Disk, err), Hint: "export it with --file"}
	}
	if err != nil {
		return err
	}
	if served.Work, err = e.holds[0].Work(); err != nil {
		return err
	}
	e.result.NBD, e.result.Format = served.URI(), export.Raw
	if served.Marked {
		e.result.Context = image.MarkContext
	}
	return e.runner().run(ctx, step{name: "serve " + e.opts.Disk, do: func(ctx context.Context) error {
		return e.Serve(ctx, served)
	}})
}

func (e *exporting) release() error {
	var errs []error
	for _, h := range e.holds {
		errs = append(errs, h.Release())
	}
	return errors.Join(errs...)
}

// end lets go of the snapshot, and deletes what waited for that: what was exported is good whatever comes of it.
func (e *exporting) end(ctx context.Context) error {
	err := e.release()
	if err == nil {
		e.result.Deleted, err = e.settle(ctx, func(*operation) error { return nil })
	}
	return err
}
