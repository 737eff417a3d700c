package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// mostLayers is where libvirt gives up as well.
const mostLayers = 200

// single are the formats whose images are one file: none names another that would be opened with it.
var single = []string{"raw", "vdi", "vhdx", "vpc"}

// QEMUName is the image as a file name for QEMU's tools: json: and the words of its blockdev-add, with every image
// below it. So no name is ever parsed, no format guessed, and nothing is opened that is not named there, whatever the
// headers say by the time they are read. It fails with ErrUnsupported for a source or a format that cannot be opened so,
// and with ErrBlocked for an image that wants to be read through other files than a chain of backing files.
func (i Image) QEMUName(ctx context.Context, readOnly bool) (string, error) {
	node, err := i.node(ctx, mostLayers)
	if err != nil {
		return "", err
	}
	return named(node, readOnly)
}

// HeaderName is QEMUName for a tool that only reads headers, one after the other, and so takes no other image with one.
// It fails as QEMUName does.
func (i Image) HeaderName(ctx context.Context) (string, error) {
	node, err := i.node(ctx, mostLayers)
	if err != nil {
		return "", err
	}
	delete(node, "backing")
	return named(node, true)
}

func named(node map[string]any, readOnly bool) (string, error) {
	if readOnly {
		node["force-share"] = true
	}
	text, err := command.JSON(node)
	return "json:" + string(text), err
}

// node is the image in QEMU's words, with at most so many layers.
func (i Image) node(ctx context.Context, layers int) (map[string]any, error) {
	if err := i.checkFormat(); err != nil {
		return nil, err
	}
	protocol, err := protocolOf(i.Source)
	if err != nil {
		return nil, err
	}
	node := map[string]any{"driver": i.Format, "file": protocol}
	if i.Format != "qcow2" {
		return node, nil
	}
	base, err := i.below(ctx)
	if err != nil {
		return nil, fmt.Errorf("look into %s: %w", i.Source, err)
	}
	// Also none is said, so that none is looked for.
	node["backing"] = nil
	if base == nil {
		return node, nil
	}
	if layers--; layers == 0 {
		return nil, methods.Blockedf("the backing chain of %s does not end", i.Source)
	}
	node["backing"], err = base.node(ctx, layers)
	return node, err
}

func (i Image) checkFormat() error {
	if i.Format == "" {
		return methods.Unsupportedf("the format of %s is not known: set it in the domain's <driver type='…'/>", i.Source)
	}
	if i.Format == "qcow2" || slices.Contains(single, i.Format) {
		return nil
	}
	return methods.Unsupportedf("%s has the format %q, whose images may name any other file", i.Source, i.Format)
}

// below is the image under this one; nil for none.
func (i Image) below(ctx context.Context) (*Image, error) {
	content, err := i.bytes(ctx)
	if err != nil {
		return nil, err
	}
	said, err := readBelow(content)
	if err = errors.Join(err, content.Close()); err != nil || said.name == "" {
		return nil, err
	}
	return i.resolve(said)
}

// CheckHeader fails with ErrBlocked for a qcow2 image that wants to be read through other files than a backing file whose
// format it says. It opens nothing but the image itself.
func (i Image) CheckHeader(ctx context.Context) error {
	if i.Format != "qcow2" {
		return nil
	}
	if _, err := i.below(ctx); err != nil {
		return fmt.Errorf("look into %s: %w", i.Source, err)
	}
	return nil
}

// resolve takes nothing for a backing file but a file or a device whose format is said.
func (i Image) resolve(said below) (*Image, error) {
	path := i.Source.Path()
	switch head, _, _ := strings.Cut(said.name, "/"); {
	case path == "":
		return nil, methods.Unsupportedf("it is not a local file and has a backing file")
	case strings.Contains(head, ":") || strings.ContainsAny(said.name, "\n\x00"):
		return nil, methods.Blockedf("its backing file %.80q is not a path", said.name)
	case said.format != "raw" && said.format != "qcow2":
		return nil, &methods.Blocked{
			What: fmt.Sprintf("it does not say which format its backing file %s has", said.name),
			Hint: "say it with: qemu-img rebase -u -F FORMAT -b BACKING IMAGE, the domain being off",
		}
	}
	if !filepath.IsAbs(said.name) {
		said.name = filepath.Join(filepath.Dir(path), said.name)
	}
	return &Image{Source: methods.Source{File: said.name}, Format: said.format}, nil
}

// readCloser is what a header is read from.
type readCloser interface {
	io.ReaderAt
	io.Closer
}

// bytes is what the image is made of.
func (i Image) bytes(ctx context.Context) (readCloser, error) {
	path := i.Source.Path()
	if path == "" {
		return open(ctx, Image{Source: i.Source, Format: "raw"}, os.O_RDONLY)
	}
	// Not to wait for the other end of a pipe.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w", path, methods.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode()&(os.ModeType&^os.ModeDevice) != 0 {
		err = methods.Blockedf("%s is neither a file nor a block device", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Overlay is QEMUName of a qcow2 file whose backing image is said here and not in its header.
func Overlay(ctx context.Context, file string, base Image) (string, error) {
	below, err := base.node(ctx, mostLayers)
	if err != nil {
		return "", err
	}
	return named(map[string]any{"driver": "qcow2", "file": local(file), "backing": below}, false)
}
