package rbd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// devicePattern is a whole image; a partition of one, /dev/rbd0p1, is not an image.
var devicePattern = regexp.MustCompile(`^/dev/rbd([0-9]+)$`)

// mapped is the image behind a device of the kernel's rbd driver, named /dev/rbdN or by a link to that, as
// udev makes them in /dev/rbd. The cluster is the one of the client's default configuration.
func (m *Method) mapped(dev string) (methods.RBDImage, error) {
	number, err := deviceNumber(dev)
	if err != nil {
		return methods.RBDImage{}, err
	}
	var image methods.RBDImage
	var snap string
	err = errors.Join(
		m.attribute(number, "pool", &image.Pool),
		m.attribute(number, "pool_ns", &image.Namespace),
		m.attribute(number, "name", &image.Image),
		m.attribute(number, "current_snap", &snap),
	)
	if err != nil {
		return methods.RBDImage{}, err
	}
	return checkMapped(dev, image, snap)
}

// checkMapped finds what cannot be snapshotted, or is no name of Ceph's.
func checkMapped(dev string, image methods.RBDImage, snap string) (methods.RBDImage, error) {
	if snap != "-" {
		return methods.RBDImage{}, methods.Unsupportedf("%s is the snapshot %s of image %s", dev, snap, image)
	}
	return image, checkNames(image)
}

func deviceNumber(dev string) (string, error) {
	real, err := filepath.EvalSymlinks(dev)
	if errors.Is(err, fs.ErrNotExist) {
		real, err = dev, nil
	}
	if err != nil {
		return "", fmt.Errorf("resolve device %s: %w", dev, err)
	}
	match := devicePattern.FindStringSubmatch(real)
	if match == nil {
		return "", methods.Unsupportedf("%s is not an rbd image", dev)
	}
	return match[1], nil
}

// attribute reads one of the driver's facts. Kernels before 5.2 have no namespaces, and no file for them.
func (m *Method) attribute(number, name string, into *string) error {
	raw, err := os.ReadFile(filepath.Join(m.devices, number, name))
	if errors.Is(err, fs.ErrNotExist) && name == "pool_ns" {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look up /dev/rbd%s: no image is mapped there: %w", number, methods.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("look up /dev/rbd%s: %w", number, err)
	}
	*into = strings.TrimSpace(string(raw))
	return nil
}
