package xmlspec

import (
	"fmt"
	"path"
)

// Texts that are checked where they are read, so that the error knows the place. libvirt takes more in some
// of them: a path for a disk's target, other formats and kinds of storage for an overlay.
type (
	label         string
	diskTarget    string
	filePath      string
	fileType      string
	overlayFormat string
	noMemory      string
)

// UnmarshalText fails where ValidName does.
func (l *label) UnmarshalText(text []byte) error {
	*l = label(text)
	return ValidName(string(text))
}

// UnmarshalText fails for a path above all.
func (t *diskTarget) UnmarshalText(text []byte) error {
	*t = diskTarget(text)
	return checkTarget(string(text))
}

// UnmarshalText fails for a path that depends on where the process runs.
func (p *filePath) UnmarshalText(text []byte) error {
	if *p = filePath(text); !path.IsAbs(string(text)) {
		return fmt.Errorf("%.64q is not an absolute path", text)
	}
	return nil
}

// UnmarshalText fails for anything but file.
func (*fileType) UnmarshalText(text []byte) error { return only("file", text) }

// UnmarshalText fails for anything but qcow2.
func (*overlayFormat) UnmarshalText(text []byte) error { return only("qcow2", text) }

// UnmarshalText fails for anything but no.
func (*noMemory) UnmarshalText(text []byte) error { return only("no", text) }

func only(want string, text []byte) error {
	if string(text) != want {
		return fmt.Errorf("%.64q is not possible here, only %q", text, want)
	}
	return nil
}
