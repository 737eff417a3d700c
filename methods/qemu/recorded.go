package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// recorded refuses a record that no plan of this method has made: records are metadata of the domain, and others may
// write to them.
func recorded(ref methods.Ref) error {
	if _, err := methods.ObjectName(ref.Snapshot, ref.Disk.Target); err != nil {
		return err
	}
	if err := supported(ref.Disk); err != nil {
		return err
	}
	for _, path := range []string{ref.Name, ref.Active} {
		if _, err := safePath(path); err != nil || filepath.Clean(path) != path {
			return methods.Blockedf("the record of snapshot %s names the image %q, which is not a plain absolute path", ref.Snapshot, path)
		}
	}
	if ref.Name != ref.Disk.Source.Path() || ref.Name == ref.Active {
		return methods.Blockedf("the record of snapshot %s contradicts itself: its image is %q and was %q, and then %q",
			ref.Snapshot, ref.Name, ref.Disk.Source.Path(), ref.Active)
	}
	return nil
}

// recordedInside is recorded for a snapshot inside an image.
func recordedInside(ref methods.Ref) error {
	object, err := methods.ObjectName(ref.Snapshot, ref.Disk.Target)
	if err != nil {
		return err
	}
	if ref.Name != object || ref.Origin != ref.Disk.Source.Path() {
		return methods.Blockedf("the record of snapshot %s says %q in %q, which is not domsnap's name for %s in %q",
			ref.Snapshot, ref.Name, ref.Origin, object, ref.Disk.Source.Path())
	}
	_, err = safePath(ref.Origin)
	return err
}

// mayRemoveUntaken says whether the overlay of a snapshot that was not taken may go: an empty file, or an overlay on the
// image of the snapshot. Of the name that Plan gives it may also be half made.
func (m *Method) mayRemoveUntaken(ctx context.Context, ref methods.Ref) error {
	info, err := os.Lstat(ref.Active)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() && info.Size() == 0 {
		return nil
	}
	if info.Mode().IsRegular() {
		l, err := m.images.info(ctx, Image{ref.Active, qcow2})
		halfMade := named(ref) && (err != nil || l.Backing.Path == "")
		if err == nil && l.Backing.Path == ref.Name || halfMade {
			return nil
		}
	}
	return notOurs(ref.Active, "is no overlay on "+ref.Name)
}

// named says that the overlay has the name that Plan gives.
func named(ref methods.Ref) bool {
	object, err := methods.ObjectName(ref.Snapshot, ref.Disk.Target)
	return err == nil && strings.HasSuffix(ref.Active, "."+object+".qcow2")
}

// removeOverlay removes an image that nothing is built on. It was an overlay of the disk, and so has the name of one.
func (m *Method) removeOverlay(ctx context.Context, img Image, target string) error {
	own := regexp.MustCompile(`\.ds-[a-z][a-z0-9]*-` + regexp.QuoteMeta(target) + `\.qcow2$`)
	if !own.MatchString(img.Path) {
		return notOurs(img.Path, "does not have the name of an overlay of disk "+target)
	}
	if err := m.images.unused(ctx, img); err != nil {
		return err
	}
	return remove(img.Path)
}

func notOurs(path, why string) error {
	return &methods.Blocked{
		What: fmt.Sprintf("%s %s, so it is not removed", path, why),
		Hint: "see what it is: qemu-img info " + path + "; remove it by hand if it is nobody's, and try again",
	}
}
