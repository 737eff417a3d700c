package fullcopy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/image"
)

// Prepare implements methods.Preparer: it makes the files, and libvirt's request ready.
func (m *Method) Prepare(ctx context.Context, refs []methods.Ref) (_ methods.Prepared, err error) {
	p := &prepared{Method: m}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.closeFiles())
		}
	}()
	if err := checkRoomForAll(refs); err != nil {
		return nil, err
	}
	for _, ref := range refs {
		if err := p.create(ref); err != nil {
			return nil, fmt.Errorf("prepare disk %s: %w", ref.Disk.Target, err)
		}
	}
	if d := refs[0].Disk; d.Domain.Active && !d.Still {
		p.backup, err = m.Hypervisor.ReadyBackup(ctx, d.Domain.UUID, p.targets())
		if err != nil {
			return nil, fmt.Errorf("make ready to copy disks: %w", err)
		}
	}
	return p, nil
}

// Take implements methods.Method.
func (m *Method) Take(ctx context.Context, ref methods.Ref) error {
	return methods.TakeNow(ctx, m, ref)
}

// prepared is the copies of one snapshot. They are finished by Close: of a guest that is held, libvirt only begins them
// while the disks are still.
type prepared struct {
	*Method
	copies []openCopy
	// backup is libvirt's job, nil for disks that stay as they are.
	backup Backup
	taken  bool
}

// openCopy is the file of a copy that has no name of its own yet.
type openCopy struct {
	ref  methods.Ref
	in   *folder
	file *os.File
}

// path leads to the file itself, whatever is at its name by now.
func (c openCopy) path() string { return image.Itself(c.file) }

func (p *prepared) create(ref methods.Ref) error {
	if err := checkName(ref); err != nil {
		return err
	}
	in, file, err := p.createPartial(ref)
	if err != nil {
		return err
	}
	p.copies = append(p.copies, openCopy{ref, in, file})
	// The copy that is there already would be lost.
	there, err := in.has(filepath.Base(ref.Name))
	if err == nil && there {
		err = errors.Join(fmt.Errorf("create %s: %w", ref.Name, methods.ErrExists), in.remove(filepath.Base(partial(ref))))
	}
	return err
}

func (p *prepared) targets() []Target {
	targets := make([]Target, len(p.copies))
	for i, c := range p.copies {
		targets[i] = Target{Disk: c.ref.Disk.Target, File: partial(c.ref)}
	}
	return targets
}

// Take implements methods.Prepared.
func (p *prepared) Take(ctx context.Context) error {
	if p.backup != nil {
		err := p.backup.Begin(ctx)
		p.taken = err == nil
		return err
	}
	if err := p.convertAll(ctx); err != nil {
		return err
	}
	p.taken = true
	return nil
}

// convertAll copies one disk after the other.
func (p *prepared) convertAll(ctx context.Context) error {
	var done, total int64
	progress := p.progress(copying)
	for _, c := range p.copies {
		total += c.ref.Size
	}
	for _, c := range p.copies {
		told := command.Percent{Total: c.ref.Size, Progress: func(of, _ int64) { progress.Report(done+of, total) }}
		if err := p.convert(ctx, c, told); err != nil {
			return fmt.Errorf("copy disk %s: %w", c.ref.Disk.Target, err)
		}
		done += c.ref.Size
	}
	return nil
}

// convert copies a disk that nobody writes to. The target is known to be empty, so nothing is written where the disk
// has zeroes.
func (m *Method) convert(ctx context.Context, c openCopy, told command.Percent) error {
	name, err := image.Image{Source: c.ref.Disk.Source, Format: c.ref.Disk.Format}.QEMUName(ctx, c.ref.Disk.Still)
	if err != nil {
		return err
	}
	return told.Run(ctx, m.Run, qemuImg, "convert", "-p", "-n", "--target-is-zero", "-O", raw, name, c.path())
}

// Close implements methods.Prepared.
func (p *prepared) Close(ctx context.Context) error {
	var err error
	if p.taken {
		err = p.finish(ctx)
	}
	if p.backup != nil {
		err = errors.Join(err, p.backup.Close())
	}
	return errors.Join(err, p.closeFiles())
}

func (p *prepared) finish(ctx context.Context) error {
	if p.backup != nil {
		if err := p.backup.Wait(ctx, p.progress(copying)); err != nil {
			return fmt.Errorf("copy disks: %w", err)
		}
	}
	for _, c := range p.copies {
		if err := p.publish(ctx, c); err != nil {
			return fmt.Errorf("finish copy %s: %w", c.ref.Name, err)
		}
	}
	return nil
}

// copying is the step that all copies of a snapshot are.
const copying = "copy disks"

func (m *Method) progress(step string) methods.Progress {
	if m.Progress == nil {
		return nil
	}
	return m.Progress(step)
}

func (m *Method) digger(c openCopy) digger {
	return digger{c.file, c.ref.Size, m.progress("make the copy of " + c.ref.Disk.Target + " sparse")}
}

// publish makes a copy sparse and durable and gives it its name.
func (p *prepared) publish(ctx context.Context, c openCopy) error {
	if err := c.file.Sync(); err != nil {
		return err
	}
	if p.backup != nil {
		if err := p.digger(c).dig(ctx); err != nil {
			return err
		}
	}
	// QEMU's user may have been its owner.
	if err := c.file.Chown(os.Geteuid(), os.Getegid()); err != nil {
		return err
	}
	if err := c.file.Sync(); err != nil {
		return err
	}
	return c.in.rename(filepath.Base(partial(c.ref)), filepath.Base(c.ref.Name))
}

func (p *prepared) closeFiles() error {
	var errs []error
	for _, c := range p.copies {
		errs = append(errs, c.file.Close(), c.in.Close())
	}
	p.copies = nil
	return errors.Join(errs...)
}
