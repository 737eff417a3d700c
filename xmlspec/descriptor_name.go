package xmlspec

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxLabel = 128
	// maxMethod is how long a method's name may be.
	maxMethod = 63
)

var (
	targetPattern = regexp.MustCompile(`^[a-z][a-z0-9]{0,15}$`)
	methodPattern = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
)

// ValidName says why a text cannot be the name of a snapshot, which is 1 to 128 bytes of printable text
// without a slash and does not begin with a dash or a dot.
func ValidName(name string) error {
	switch {
	case name == "":
		return errors.New("a snapshot's name is empty")
	case len(name) > maxLabel:
		return fmt.Errorf("snapshot name %.32q… is longer than %d bytes", name, maxLabel)
	case !utf8.ValidString(name), strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("snapshot name %q is not all printable text", name)
	case strings.Contains(name, "/"):
		return fmt.Errorf("snapshot name %q has a slash", name)
	case name[0] == '-' || name[0] == '.':
		return fmt.Errorf("snapshot name %q begins with %q", name, name[0])
	}
	return nil
}

func checkTarget(target string) error {
	if !targetPattern.MatchString(target) {
		return fmt.Errorf("%.64q is not a disk's target, such as vda", target)
	}
	return nil
}

// checkMethod fails for what could not be part of an engine's file name.
func checkMethod(name string) error {
	if len(name) > maxMethod || !methodPattern.MatchString(name) {
		return fmt.Errorf("%.64q is not a method's name: want lower case letters, digits and dashes, a letter first", name)
	}
	return nil
}
