package rbd

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// place is where a snapshot lives, and how to get there.
type place struct {
	methods.RBDImage
	snap string
}

// String is pool/image@snapshot, as rbd writes it.
func (p place) String() string { return p.RBDImage.String() + "@" + p.snap }

// place names the snapshot that a request asks for.
func (m *Method) place(req methods.PlanRequest) (place, error) {
	image, err := m.image(req.Disk.Source)
	if err != nil {
		return place{}, err
	}
	snap, err := methods.ObjectName(req.ID, req.Disk.Target)
	return place{image, snap}, err
}

// image is the image that a disk is, directly or as a device of the kernel's rbd driver.
func (m *Method) image(source methods.Source) (methods.RBDImage, error) {
	if source.RBD != nil {
		return *source.RBD, errors.Join(checkNames(*source.RBD), checkReach(*source.RBD))
	}
	if source.Dev != "" {
		return m.mapped(source.Dev)
	}
	return methods.RBDImage{}, methods.Unsupportedf("%s is not an rbd image", source)
}

// recorded is the place that a ref names. It goes by the record and not by the disk's device, whose name the
// kernel may since have given to another image. A record whose parts do not agree is an error, so that nothing
// is done to a snapshot that domsnap did not make.
func recorded(ref methods.Ref) (place, error) {
	snap, err := methods.ObjectName(ref.Snapshot, ref.Disk.Target)
	if err != nil {
		return place{}, err
	}
	image, err := parseOrigin(ref.Origin)
	if err != nil {
		return place{}, err
	}
	if known := ref.Disk.Source.RBD; known != nil {
		image.User, image.Config, image.Monitors = known.User, known.Config, known.Monitors
	}
	p := place{image, snap}
	if p.String() != ref.Name {
		return place{}, fmt.Errorf("check recorded name %q: want %q", ref.Name, p)
	}
	return p, checkReach(image)
}

// parseOrigin reads what RBDImage.String writes.
func parseOrigin(origin string) (methods.RBDImage, error) {
	parts := strings.Split(origin, "/")
	var image methods.RBDImage
	switch len(parts) {
	case 2:
		image.Pool, image.Image = parts[0], parts[1]
	case 3:
		image.Pool, image.Namespace, image.Image = parts[0], parts[1], parts[2]
	default:
		return image, fmt.Errorf("check image name %q: want pool/image or pool/namespace/image", origin)
	}
	return image, checkNames(image)
}

// checkNames refuses names that Ceph would not take and that would be read as something else in
// pool/namespace/image@snapshot.
func checkNames(image methods.RBDImage) error {
	for _, name := range []string{image.Pool, image.Image} {
		if name == "" {
			return fmt.Errorf("check image name %q: want a pool and an image", image)
		}
	}
	for _, name := range []string{image.Pool, image.Namespace, image.Image} {
		if strings.ContainsFunc(name, reserved) {
			return fmt.Errorf("check image name %q: %q has a character that rbd reserves", image, name)
		}
	}
	return nil
}

// checkReach refuses what librados would take for more than one file or monitor, or would cut short.
func checkReach(image methods.RBDImage) error {
	if image.Config != "" && (!filepath.IsAbs(image.Config) || strings.ContainsAny(image.Config, ";, \t")) || strings.ContainsFunc(image.Config, control) {
		return fmt.Errorf("check Ceph configuration %q: want one absolute path without blanks, commas and semicolons", image.Config)
	}
	if strings.ContainsFunc(image.User, control) {
		return fmt.Errorf("check Ceph user %q: it has control characters", image.User)
	}
	for _, m := range image.Monitors {
		if m == "" || strings.ContainsAny(m, ";, ") || strings.ContainsFunc(m, control) {
			return fmt.Errorf("check monitor %q: want one address", m)
		}
	}
	return nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

func reserved(r rune) bool { return r == '/' || r == '@' || control(r) }
