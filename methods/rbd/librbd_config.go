//go:build rbd

package rbd

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/ceph/go-ceph/rados"

	"github.com/domsnap/domsnap/methods"
)

// defaultConfig is read when a disk names no other. librados would also look in the home and the working
// directory.
const defaultConfig = "/etc/ceph/ceph.conf"

// readConfig reads the client's configuration, which need not be there if the disk names its monitors.
func readConfig(conn *rados.Conn, image methods.RBDImage) error {
	path := cmp.Or(image.Config, defaultConfig)
	err := number(conn.ReadConfigFile(path))
	optional := image.Config == "" && len(image.Monitors) > 0
	if err != nil && !(optional && errors.Is(err, fs.ErrNotExist)) {
		return fmt.Errorf("read Ceph configuration %s: %w", path, err)
	}
	if len(image.Monitors) == 0 {
		return nil
	}
	hosts := strings.Join(image.Monitors, ",")
	if err := conn.SetConfigOption("mon_host", hosts); err != nil {
		return fmt.Errorf("set monitors %s: %w", hosts, number(err))
	}
	return nil
}
