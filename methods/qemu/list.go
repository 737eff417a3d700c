package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// List implements methods.Lister: overlays are named after the snapshot they were made for, and lie beside the images
// of the disk. The image that the disk writes to is one of them, also after its snapshot is gone.
func (m *Method) List(ctx context.Context, d methods.Disk) ([]string, error) {
	if supported(d) != nil {
		return nil, nil
	}
	chain, err := m.images.chain(ctx, Image{d.Source.Path(), d.Format})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, l := range chain {
		if stem(l.Path) != stem(chain[0].Path) {
			continue // a template, whose overlays are others' disks
		}
		names, err := objectsBeside(l.Path, d.Target)
		if err != nil {
			return nil, err
		}
		found = append(found, names...)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// objectsBeside finds STEM.ds-ID-TARGET.qcow2 in the image's directory, and what a merge has left of one.
func objectsBeside(path, target string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list images beside %s: %w", path, err)
	}
	own := regexp.MustCompile(`^` + regexp.QuoteMeta(filepath.Base(stem(path))) +
		`\.(ds-[a-z][a-z0-9]*-` + regexp.QuoteMeta(target) + `)\.qcow2(` + regexp.QuoteMeta(mark("")) + `)?$`)
	var names []string
	for _, e := range entries {
		if found := own.FindStringSubmatch(e.Name()); found != nil {
			names = append(names, found[1])
		}
	}
	return names, nil
}

// stem is an image's path without its extension, and without what a snapshot has put there.
func stem(path string) string {
	return ownSuffix.ReplaceAllString(strings.TrimSuffix(path, filepath.Ext(path)), "")
}

// nearlyTooLong is how many layers of a chain are worth a warning.
const nearlyTooLong = maxChain * 4 / 5

// Warn implements methods.Warner.
func (m *Method) Warn(ctx context.Context, d methods.Disk) ([]methods.Warning, error) {
	if supported(d) != nil {
		return nil, nil
	}
	chain, err := m.images.chain(ctx, Image{d.Source.Path(), d.Format})
	if err != nil || len(chain) < nearlyTooLong {
		return nil, err
	}
	return []methods.Warning{{
		What: fmt.Sprintf("the chain of images below %s has %d layers, and at %d there are no more snapshots", d.Source.Path(), len(chain), maxChain),
		Fix:  fmt.Sprintf("domsnap snapshot-prune %s --keep-last %d", d.Domain.Name, maxChain/2),
	}}, nil
}
