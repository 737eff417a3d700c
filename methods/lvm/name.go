package lvm

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// namePattern is what LVM allows in the names of groups and volumes, of at most maxName bytes.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9+_.][A-Za-z0-9+_.-]*$`)

const maxName = 127

// name is a logical volume's name. Only checkName and its callers make one, so it is safe as an argument.
type name struct {
	group, volume string
}

func checkName(group, volume string) (name, error) {
	for _, part := range []string{group, volume} {
		if len(part) > maxName || !namePattern.MatchString(part) || part == "." || part == ".." {
			return name{}, fmt.Errorf("check logical volume name %q: want letters, digits and +_.-", part)
		}
	}
	return name{group, volume}, nil
}

// parseName reads vg/lv.
func parseName(s string) (name, error) {
	group, volume, _ := strings.Cut(s, "/")
	return checkName(group, volume)
}

// parseMapped reads device-mapper's vg-lv, where a hyphen within a name is doubled.
func parseMapped(s string) (name, error) {
	const hyphen = "\x00"
	group, volume, _ := strings.Cut(strings.ReplaceAll(s, "--", hyphen), "-")
	n, err := checkName(strings.ReplaceAll(group, hyphen, "-"), strings.ReplaceAll(volume, hyphen, "-"))
	if err == nil && n.mapped() != s {
		return name{}, fmt.Errorf("check device name %q: it is not one that LVM gives", s)
	}
	return n, err
}

// String is vg/lv.
func (n name) String() string { return n.group + "/" + n.volume }

// mapped is device-mapper's name.
func (n name) mapped() string {
	return strings.ReplaceAll(n.group, "-", "--") + "-" + strings.ReplaceAll(n.volume, "-", "--")
}

func (n name) sibling(volume string) name { return name{n.group, volume} }

// nameInPath reads the paths that LVM itself gives to a volume.
func nameInPath(dev, path string) (name, bool) {
	rest, ok := strings.CutPrefix(filepath.Clean(path), dev+"/")
	if !ok {
		return name{}, false
	}
	for _, prefix := range []string{"mapper/", "disk/by-id/dm-name-"} {
		if mapped, ok := strings.CutPrefix(rest, prefix); ok {
			n, err := parseMapped(mapped)
			return n, err == nil
		}
	}
	n, err := parseName(rest)
	return n, err == nil
}

// target is a ref that was checked: where the snapshot is, and of what.
type target struct {
	snapshot, origin name
	id               string
	thin             bool
	// domain is the UUID of the domain whose record it is.
	domain string
}

// parseRef checks a recorded ref. What a record names must be what Plan would have named: a name that
// anybody could write into a record is not enough to remove a volume.
func parseRef(ref methods.Ref) (target, error) {
	object, err := methods.ObjectName(ref.Snapshot, ref.Disk.Target)
	if err != nil {
		return target{}, err
	}
	origin, err := parseName(ref.Origin)
	if err != nil {
		return target{}, fmt.Errorf("read origin of snapshot %s: %w", ref.Snapshot, err)
	}
	t := target{origin.sibling(object), origin, ref.Snapshot, ref.Mode == modeThin, ref.Disk.Domain.UUID}
	if ref.Name != t.snapshot.String() || (ref.Mode != modeThin && ref.Mode != modeThick) {
		return target{}, methods.Blockedf("the record of snapshot %s says %s (%s), which is not domsnap's name for %s",
			ref.Snapshot, ref.Name, ref.Mode, t.snapshot)
	}
	return t, nil
}
