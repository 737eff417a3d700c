package lvm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
)

// exceptions reads the exception store of a thick snapshot from the device on which the kernel keeps it.
func (m *Method) exceptions(ctx context.Context, n name, origin volume) (exceptions, error) {
	if err := m.checkStatus(ctx, n); err != nil {
		return exceptions{}, err
	}
	cow, err := openDevice(m.dev+"/mapper/"+n.mapped()+"-cow", os.O_RDONLY)
	if err != nil {
		return exceptions{}, fmt.Errorf("open exception store of %s: %w", n, err)
	}
	defer cow.Close()
	size, err := cow.Seek(0, io.SeekEnd)
	if err != nil {
		return exceptions{}, fmt.Errorf("measure exception store of %s: %w", n, err)
	}
	e, err := readExceptions(store{cow, size, int64(origin.Size)})
	if err != nil {
		return exceptions{}, fmt.Errorf("check snapshot %s: %w", n, err)
	}
	return e, nil
}

// checkStatus asks the kernel, which knows of an overflow before LVM's metadata does. A sound snapshot has
// used/total where another one has a word.
func (m *Method) checkStatus(ctx context.Context, n name) error {
	out, err := m.ask(ctx, "dmsetup", "status", n.mapped())
	if err != nil {
		return fmt.Errorf("ask device-mapper for %s: %w", n, err)
	}
	status := strings.Fields(string(out))
	if len(status) < 4 || status[2] != "snapshot" || !strings.Contains(status[3], "/") {
		return fmt.Errorf("check snapshot %s: device-mapper says %q: %w", n, strings.TrimSpace(string(out)), methods.ErrBroken)
	}
	return nil
}

// openDevice opens a device and drops what the host has cached of it: the kernel writes exception stores
// below that cache.
func openDevice(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return nil, err
	}
	err = unix.IoctlSetInt(int(f.Fd()), unix.BLKFLSBUF, 0)
	if err != nil && !errors.Is(err, unix.ENOTTY) {
		return nil, errors.Join(fmt.Errorf("flush %s: %w", path, err), f.Close())
	}
	return f, nil
}
