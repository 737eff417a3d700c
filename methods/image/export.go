package image

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// Export is an image that others read over NBD, as the unnamed export of a socket.
type Export struct {
	Image Image
	// Socket is where the readers come to. Nothing is there before they can, and nothing that is there is touched.
	Socket string
	// Changed, where Marked, are the extents that the readers find in the context MarkContext.
	Marked  bool
	Changed []methods.Extent
	// Size is the image's, Work an empty directory of ours; for what is marked.
	Size int64
	Work string
	// Keep stays open as long as anybody reads; may be nil.
	Keep *os.File
	// Ready is called when the readers can come; may be nil.
	Ready func()
}

// URI is what readers open.
func (e Export) URI() string {
	path := strings.NewReplacer("%2F", "/", "+", "%20").Replace(url.QueryEscape(e.Socket))
	return "nbd+unix:///?socket=" + path
}

// FromSource is the image at a backup source. It fails with ErrUnsupported where only libvirt could open it.
func FromSource(s methods.BackupSource) (Image, error) {
	switch {
	case s.Source != (methods.Source{}):
		return Image{Source: s.Source, Format: s.Format}, nil
	case filepath.IsAbs(s.URI):
		return Image{Source: methods.Source{File: s.URI}, Format: s.Format}, nil
	}
	return Image{}, methods.Unsupportedf("QEMU's server does not take the backup source %.200q", s.URI)
}

// Serve returns when the last reader has gone, or when ctx ends, which is no error. It fails with ErrBlocked where the socket
// is in nobody's own directory, and with ErrExists where something is in its place.
func (e Export) Serve(ctx context.Context) (err error) {
	if command.Missing(qemuNBD) != "" {
		return methods.Unsupportedf("%s is missing: install qemu-utils", qemuNBD)
	}
	d, err := openDoor(e.Socket)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	args, err := e.arguments(ctx)
	if err != nil {
		return err
	}
	server, err := launchBound(append(d.arguments(), args...), e.Keep)
	if err != nil {
		return err
	}
	if err := server.await(ctx, d); err != nil {
		return errors.Join(fmt.Errorf("serve %s: %w", e.Image.Source, err), server.stop())
	}
	if e.Ready != nil {
		e.Ready()
	}
	return server.attend(ctx)
}

// arguments let any number of readers in at a time, and the server go when the last of them does.
func (e Export) arguments(ctx context.Context) ([]string, error) {
	args := []string{"--read-only", "--shared=0"}
	node, err := e.Image.node(ctx, mostLayers)
	if err != nil {
		return nil, err
	}
	if e.Marked {
		if node, err = e.mark(ctx, node); err != nil {
			return nil, err
		}
		args = append(args, "--bitmap="+mark)
	}
	name, err := named(node, true)
	return append(args, name), err
}

// await opens the door when the server has opened the image.
func (d *daemon) await(ctx context.Context, door *door) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !door.ready() {
		select {
		case err := <-d.ended:
			d.ended <- err
			return d.died(err)
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", qemuNBD, ctx.Err())
		case <-time.After(pollSocket):
		}
	}
	return door.open()
}

// attend waits for the server's end.
func (d *daemon) attend(ctx context.Context) error {
	select {
	case err := <-d.ended:
		if err != nil {
			return d.died(err)
		}
		return nil
	case <-ctx.Done():
		return d.stop()
	}
}

// stop ends the server and waits until it has.
func (d *daemon) stop() error {
	for end := time.Now().Add(endTimeout); time.Now().Before(end); {
		// A signal that comes just before qemu-nbd waits for its readers is not noticed until one of them moves.
		_ = d.process.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-d.ended:
			d.ended <- err
			return nil
		case <-time.After(pollEnd):
		}
	}
	err := fmt.Errorf("wait for the end of %s: %w", qemuNBD, context.DeadlineExceeded)
	return errors.Join(err, d.process.Process.Kill(), <-d.ended)
}
