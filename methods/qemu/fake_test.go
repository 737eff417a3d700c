package qemu_test

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/qemu"
)

// fakeHypervisor knows which image each disk writes to, and does to images what QEMU would.
type fakeHypervisor struct {
	active map[string]qemu.Image
	// putFails fails the switch; moveAnyway lets it have moved the disks before.
	putFails   error
	moveAnyway bool
	// busy is what is in the way of a commit.
	busy error
	// asked are the calls that change something.
	asked []string
}

func (h *fakeHypervisor) ReadySwitch(_ context.Context, _ string, overlays []qemu.Overlay) (qemu.Switch, error) {
	return &fakeSwitch{h, overlays}, nil
}

type fakeSwitch struct {
	*fakeHypervisor
	overlays []qemu.Overlay
}

func (s *fakeSwitch) Do(context.Context) error {
	s.asked = append(s.asked, "overlays")
	if s.putFails != nil && !s.moveAnyway {
		return s.putFails
	}
	for _, o := range s.overlays {
		s.active[o.Target] = qemu.Image{Path: o.File, Format: "qcow2"}
	}
	return s.putFails
}

func (s *fakeSwitch) Close() error { return nil }

func (h *fakeHypervisor) ActiveSource(_ context.Context, _, target string) (string, error) {
	return h.active[target].Path, nil
}

func (h *fakeHypervisor) CheckCommit(context.Context, qemu.Commit) error { return h.busy }

// Commit moves the content down and takes the image out of the chain, as a block job does.
func (h *fakeHypervisor) Commit(ctx context.Context, c qemu.Commit) error {
	h.asked = append(h.asked, "commit")
	if err := img(ctx, "commit", "-q", "-f", "qcow2", "-d", c.Top); err != nil {
		return err
	}
	base := qemu.Image{Path: c.Base, Format: "qcow2"}
	if h.active[c.Target].Path == c.Top {
		h.active[c.Target] = base
		return nil
	}
	above, err := imageOn(ctx, h.active[c.Target].Path, c.Top)
	if err != nil {
		return err
	}
	return img(ctx, "rebase", "-u", "-f", "qcow2", "-F", base.Format, "-b", base.Path, above)
}

func (h *fakeHypervisor) SetSource(_ context.Context, _, target string, image qemu.Image) error {
	h.asked = append(h.asked, "source")
	h.active[target] = image
	return nil
}

// imageOn finds the image of a chain whose backing file is path.
func imageOn(ctx context.Context, top, path string) (string, error) {
	for top != "" {
		backing, err := backingOf(ctx, top)
		if err != nil || backing == path {
			return top, err
		}
		top = backing
	}
	return "", fmt.Errorf("nothing in the chain is built on %s", path)
}

func img(ctx context.Context, args ...string) error {
	_, err := command.Host{}.Run(ctx, "qemu-img", args...)
	return err
}

var _ qemu.Hypervisor = (*fakeHypervisor)(nil)
