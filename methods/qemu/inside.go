package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"

	"github.com/domsnap/domsnap/methods"
)

// inside finds the internal snapshot of this name. qemu-img takes a name for an id where one fits, and of two of one
// name just the first, so anything but one clear answer is an error.
func (l layer) inside(name string) (internalEntry, error) {
	var found []internalEntry
	for _, s := range l.Internal {
		if s.Name == name || s.ID == name {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 0:
		return internalEntry{}, fmt.Errorf("find internal snapshot %s in %s: %w", name, l.Path, methods.ErrNotFound)
	case len(found) > 1 || found[0].Name != name:
		return internalEntry{}, &methods.Blocked{
			What: fmt.Sprintf("%s has more than one internal snapshot that answers to %s", l.Path, name),
			Hint: "see them: qemu-img snapshot -l " + l.Path,
		}
	}
	return found[0], nil
}

// createInside, applyInside and removeInside change an image that nobody has open.
func (i images) createInside(ctx context.Context, path, name string) error {
	return i.changeInside(ctx, path, "-c", name)
}

func (i images) applyInside(ctx context.Context, path, name string) error {
	return i.changeInside(ctx, path, "-a", name)
}

func (i images) removeInside(ctx context.Context, path, name string) error {
	return i.changeInside(ctx, path, "-d", name)
}

// ownName is what ObjectName gives. Another name qemu-img might take for an id.
var ownName = regexp.MustCompile(`^ds-[a-z][a-z0-9]*-[a-z][a-z0-9]*$`)

func (i images) changeInside(ctx context.Context, path, act, name string) error {
	if !ownName.MatchString(name) {
		return methods.Blockedf("the internal snapshot %.200q of %s is not one of domsnap's", name, path)
	}
	return i.change(ctx, Image{path, qcow2}, func(chain string) error {
		if _, err := i.run.Run(ctx, qemuImg, "snapshot", act, name, chain); err != nil {
			return fmt.Errorf("change internal snapshot %s of %s: %w", name, path, err)
		}
		return nil
	})
}

// repair puts right what an interrupted change has left: reference counts, never content. An image without faults is only
// read.
func (i images) repair(ctx context.Context, path string) error {
	return i.change(ctx, Image{path, qcow2}, func(chain string) error {
		_, err := i.run.Run(ctx, qemuImg, "check", "-q", chain)
		if faulty(err) {
			_, err = i.run.Run(ctx, qemuImg, "check", "-q", "-r", "all", chain)
		}
		if err != nil {
			return fmt.Errorf("repair %s: %w", path, err)
		}
		return nil
	})
}

// faulty says that qemu-img check has found wrong reference counts, or clusters that nobody uses.
func faulty(err error) bool {
	const wrong, leaked = 2, 3
	var exit *exec.ExitError
	return errors.As(err, &exit) && (exit.ExitCode() == wrong || exit.ExitCode() == leaked)
}

// infoOf is info of an image that may be gone, which is ErrNotFound.
func (i images) infoOf(ctx context.Context, img Image) (layer, error) {
	if _, err := os.Stat(img.Path); err != nil {
		return layer{}, fmt.Errorf("find image %s: %w", img.Path, notFound(err))
	}
	return i.info(ctx, img)
}

// notThere takes ErrNotFound for an answer.
func notThere(err error) error {
	if errors.Is(err, methods.ErrNotFound) {
		return nil
	}
	return err
}
