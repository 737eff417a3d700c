package methods

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	idPattern     = regexp.MustCompile(`^[a-z][a-z0-9]{3,31}$`)
	targetPattern = regexp.MustCompile(`^[a-z][a-z0-9]{0,15}$`)
)

// IsSnapshotID says that it could be a snapshot's id: 4 to 32 lower case letters and digits, a letter first.
func IsSnapshotID(id string) bool { return idPattern.MatchString(id) }

// IsTarget says that it could be a disk's target, such as vda.
func IsTarget(target string) bool { return targetPattern.MatchString(target) }

// ObjectName is the name of a storage object made for a disk's snapshot: ds-ID-TARGET. It is safe in paths,
// in argument lists and as a name in LVM and Ceph. An id or a target that would not be is an error.
func ObjectName(id, target string) (string, error) {
	if !IsSnapshotID(id) {
		return "", fmt.Errorf("check snapshot id %q: want 4 to 32 lower case letters and digits, a letter first", id)
	}
	if !IsTarget(target) {
		return "", fmt.Errorf("check disk target %q: want lower case letters and digits, a letter first", target)
	}
	return "ds-" + id + "-" + target, nil
}

// SnapshotOf is the id of the snapshot for which a storage object of a disk was made; false where the name is not that of
// such an object.
func SnapshotOf(object, target string) (string, bool) {
	id, isOurs := strings.CutPrefix(object, "ds-")
	id, isDisks := strings.CutSuffix(id, "-"+target)
	return id, isOurs && isDisks && IsSnapshotID(id)
}
