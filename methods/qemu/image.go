package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/image"
)

const (
	qemuImg = "qemu-img"
	qcow2   = "qcow2"
	raw     = "raw"
)

// images runs qemu-img. The format is always said, so that nothing a guest wrote is taken for a header.
type images struct {
	run command.Runner
}

// layer is one image of a chain.
type layer struct {
	Image
	Size    int64
	Backing Image
	// Internal are the snapshots inside the file, whoever made them.
	Internal  []internalEntry
	Encrypted bool
}

// internalEntry is one internal snapshot. Neither of the two need be unique.
type internalEntry struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// imageInfo is what is read of qemu-img's JSON.
type imageInfo struct {
	VirtualSize   int64           `json:"virtual-size"`
	Backing       string          `json:"backing-filename"`
	FullBacking   string          `json:"full-backing-filename"`
	BackingFormat string          `json:"backing-filename-format"`
	Encrypted     bool            `json:"encrypted"`
	Snapshots     []internalEntry `json:"snapshots"`
	Specific      struct {
		Data struct {
			DataFile string `json:"data-file"`
		} `json:"data"`
	} `json:"format-specific"`
}

// info reads an image's header; the image may be in use. A header that names a file for its data is not shown to a tool,
// which might open that.
func (i images) info(ctx context.Context, img Image) (layer, error) {
	path, err := img.safe()
	if err != nil {
		return layer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, image.InspectTimeout)
	defer cancel()
	source := image.Image{Source: methods.Source{File: path}, Format: img.Format}
	if err := source.CheckHeader(ctx); err != nil && !errors.Is(err, methods.ErrNotFound) {
		return layer{}, err
	}
	out, err := command.Ask(ctx, i.run, qemuImg, "info", "--output=json", "-U", "-f", img.Format, path)
	if err != nil {
		return layer{}, fmt.Errorf("read header of %s: %w", img.Path, err)
	}
	return parseInfo(img, out)
}

// unused fails with ErrBlocked while somebody has the image open.
func (i images) unused(ctx context.Context, img Image) error {
	path, err := img.safe()
	if err != nil {
		return err
	}
	if _, err := i.run.Run(ctx, qemuImg, "info", "--output=json", "-f", img.Format, path); err != nil {
		return &methods.Blocked{What: fmt.Sprintf("%s may be in use: %v", img.Path, err), Hint: "see who: fuser -v " + img.Path}
	}
	return nil
}

// What qemu-img may say of an image at most. A header can hold 65536 snapshots.
const (
	maxInfo        = 16 << 20
	maxInfoObjects = 1 << 17
)

func parseInfo(img Image, out []byte) (layer, error) {
	if len(out) > maxInfo || bytes.Count(out, []byte("{")) > maxInfoObjects {
		return layer{}, methods.Blockedf("%s has a header that says too much: %d bytes", img.Path, len(out))
	}
	var info imageInfo
	if err := json.Unmarshal(out, &info); err != nil {
		return layer{}, fmt.Errorf("read header of %s: %w", img.Path, err)
	}
	l := layer{Image: img, Size: info.VirtualSize, Internal: info.Snapshots, Encrypted: info.Encrypted}
	if info.Specific.Data.DataFile != "" {
		return layer{}, methods.Blockedf("%s keeps its data in another file, %s", img.Path, info.Specific.Data.DataFile)
	}
	if info.Backing == "" {
		return l, nil
	}
	l.Backing = Image{Path: info.FullBacking, Format: info.BackingFormat}
	if l.Backing.Path == "" {
		l.Backing.Path = info.Backing
	}
	if l.Backing.Format != raw && l.Backing.Format != qcow2 {
		return layer{}, &methods.Blocked{
			What: fmt.Sprintf("%s does not say which format its backing file %s has", img.Path, l.Backing.Path),
			Hint: "say it with: qemu-img rebase -u -F FORMAT -b BACKING IMAGE, the domain being off",
		}
	}
	return l, nil
}

// chain lists the image and everything below it.
func (i images) chain(ctx context.Context, img Image) ([]layer, error) {
	var chain []layer
	for len(chain) == 0 || img.Path != "" {
		if contains(chain, img.Path) || len(chain) > maxChain*2 {
			return nil, methods.Blockedf("the backing chain of %s does not end", chain[0].Path)
		}
		l, err := i.info(ctx, img)
		if err != nil {
			return nil, err
		}
		chain = append(chain, l)
		img = l.Backing
	}
	return chain, nil
}

// create makes an empty overlay with the owner and the mode of the model, so that QEMU may open it. A file of this name
// must not be there.
func (i images) create(ctx context.Context, overlay string, base Image, model string) error {
	_, err := safePath(overlay)
	if err == nil {
		_, err = base.safe()
	}
	if err != nil {
		return err
	}
	f, err := reserve(overlay, model)
	if err != nil {
		return fmt.Errorf("create overlay: %w", err)
	}
	defer f.Close()
	_, err = i.run.Run(ctx, qemuImg, "create", "-q", "-f", qcow2, "-F", base.Format, "-b", base.Path, image.Itself(f))
	if err == nil {
		err = image.CheckOverlay(f, base.Path, base.Format)
	}
	if err != nil {
		return fmt.Errorf("create overlay %s: %w", overlay, errors.Join(err, os.Remove(overlay)))
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(overlay))
}

// reserve makes an empty file, which is the one that is filled then: nobody can put another in its place.
func reserve(path, model string) (*os.File, error) {
	like, err := os.Stat(model)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := setLike(f, like); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// merging is an image whose content goes into the one below it.
type merging struct {
	img, into Image
	progress  methods.Progress
}

// commit moves an image's content into the one below it; both must be closed.
func (i images) commit(ctx context.Context, m merging) error {
	chain, err := i.chain(ctx, m.img)
	if err != nil {
		return err
	}
	if len(chain) < 2 || chain[1].Image != m.into {
		return methods.Blockedf("%s is no overlay on %s any more", m.img.Path, m.into.Path)
	}
	told := command.Percent{Progress: m.progress, Total: chain[0].Size}
	return changeHeld(chain, func(chain string) error {
		err := told.Run(ctx, i.run, qemuImg, "commit", "-p", "-d", chain)
		if err != nil {
			return fmt.Errorf("commit %s into %s: %w", m.img.Path, m.into.Path, err)
		}
		return nil
	})
}

// change runs a tool on an image.
func (i images) change(ctx context.Context, img Image, do func(chain string) error) error {
	chain, err := i.chain(ctx, img)
	if err != nil {
		return err
	}
	return changeHeld(chain, do)
}

// changeHeld runs a tool on images that are held open, and makes durable what it did.
func changeHeld(chain []layer, do func(chain string) error) (err error) {
	p, name, err := pinned(chain)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := do(name); err != nil {
		return err
	}
	return p.sync()
}

// rebase changes the name of the backing file in a header, and nothing else.
func (i images) rebase(ctx context.Context, img, backing Image) error {
	below, err := backing.safe()
	if err == nil {
		_, err = img.safe()
	}
	if err != nil {
		return err
	}
	f, err := openImage(img.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = i.run.Run(ctx, qemuImg, "rebase", "-u", "-f", img.Format, "-F", backing.Format, "-b", below, image.Itself(f))
	if err != nil {
		return fmt.Errorf("point %s to %s: %w", img.Path, backing.Path, err)
	}
	return f.Sync()
}

var formatPattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// safe is the path of an image that can be named to qemu-img.
func (img Image) safe() (string, error) {
	if !formatPattern.MatchString(img.Format) {
		return "", methods.Blockedf("image %q has no format of QEMU's: %.64q", img.Path, img.Format)
	}
	return safePath(img.Path)
}

// safePath refuses what qemu-img would take for an option, a protocol or a driver.
func safePath(path string) (string, error) {
	if !filepath.IsAbs(path) || strings.ContainsAny(path, "\n\x00") {
		return "", methods.Blockedf("image name %q is not an absolute path", path)
	}
	return path, nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func escape(s string) string {
	var b strings.Builder
	// A strings.Builder does not fail.
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func setLike(f *os.File, info os.FileInfo) error {
	var err error
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		err = f.Chown(int(st.Uid), int(st.Gid))
	}
	return errors.Join(err, f.Chmod(info.Mode().Perm()|0o600))
}
