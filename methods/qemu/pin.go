package qemu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/image"
)

// pin holds images open for a tool that changes one of them. The directory may belong to QEMU's user: what the tool gets
// are not names, which lead to another file a moment later, but the files that were looked at.
type pin struct {
	files []*os.File
}

// pinned holds a chain. The answer is a file name for QEMU's tools that names every image and its format, so that they
// open nothing else, whatever the headers say by then.
func pinned(chain []layer) (_ *pin, name string, err error) {
	p := &pin{}
	node, err := p.node(chain)
	if err != nil {
		return nil, "", errors.Join(err, p.Close())
	}
	text, err := command.JSON(node)
	if err != nil {
		return nil, "", errors.Join(err, p.Close())
	}
	return p, "json:" + string(text), nil
}

// node is a chain in the words of QEMU's blockdev-add. Nothing below it is null, so that nothing is looked for.
func (p *pin) node(chain []layer) (node map[string]any, err error) {
	for n := len(chain) - 1; n >= 0; n-- {
		file, err := p.file(chain[n].Path)
		if err != nil {
			return nil, err
		}
		below := node
		node = map[string]any{"driver": chain[n].Format, "file": file}
		if chain[n].Format == qcow2 {
			node["backing"] = below
		}
	}
	return node, nil
}

// file is an image's protocol node.
func (p *pin) file(path string) (map[string]any, error) {
	f, err := openImage(path)
	if err != nil {
		return nil, err
	}
	p.files = append(p.files, f)
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	driver := "file"
	switch info.Mode().Type() {
	case 0:
	case os.ModeDevice:
		driver = "host_device"
	default:
		return nil, methods.Blockedf("%s is neither a file nor a block device", path)
	}
	return map[string]any{"driver": driver, "filename": image.Itself(f)}, nil
}

// Close lets go of the images.
func (p *pin) Close() error {
	var errs []error
	for _, f := range p.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// sync makes durable what was changed, names and all.
func (p *pin) sync() error {
	for _, f := range p.files {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("write out %s: %w", f.Name(), err)
		}
	}
	return nil
}

// mostLinks is how many symbolic links in a row are followed.
const mostLinks = 8

// openImage follows symbolic links where an administrator has put them, and not where QEMU's user has.
func openImage(path string) (*os.File, error) {
	for range mostLinks {
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if !errors.Is(err, unix.ELOOP) {
			return f, err
		}
		target, err := linkOfAdministrator(path)
		if err != nil {
			return nil, err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return nil, methods.Blockedf("%s is one of too many symbolic links", path)
}

// linkOfAdministrator reads the very link that it has looked at.
func linkOfAdministrator(path string) (string, error) {
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", fmt.Errorf("look at %s: %w", path, err)
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return "", methods.Blockedf("%s is a symbolic link of user %d", path, st.Uid)
	}
	var target [unix.PathMax]byte
	n, err := unix.Readlinkat(int(f.Fd()), "", target[:])
	if err != nil {
		return "", fmt.Errorf("read link %s: %w", path, err)
	}
	return string(target[:n]), nil
}
