package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"libvirt.org/go/libvirtxml"
)

// exported names the files of an NBD server by its export.
func exported(name, what string) string { return filepath.Join(stateDir, name+".nbd-"+what) }

// inExport puts the disk behind a server of its own, which more than one client may use.
func (v *volume) inExport(name string) {
	v.source = name
	file := filepath.Join(ext4Dir, name+".nbd")
	v.create = func(ctx context.Context, template string) error {
		if err := os.MkdirAll(stateDir, 0o755); err != nil {
			return err
		}
		return runAll(ctx, [][]string{
			{"qemu-img", "convert", "-f", "raw", "-O", "raw", template, file},
			{"qemu-nbd", "--fork", "--persistent", "--shared=0", "--discard=unmap", "-f", "raw", "--export-name=" + name,
				"--socket=" + exported(name, "socket"), "--pid-file=" + exported(name, "pid"), file},
		})
	}
	v.remove = func(context.Context) error {
		return errors.Join(endServer(exported(name, "pid")), ignoreMissing(os.Remove(exported(name, "socket"))), ignoreMissing(os.Remove(file)))
	}
}

func endServer(pidFile string) error {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return ignoreMissing(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("read %s: %w", pidFile, err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end NBD server: %w", err)
	}
	return ignoreMissing(os.Remove(pidFile))
}

func exportElement(name string) *libvirtxml.DomainDiskSource {
	return &libvirtxml.DomainDiskSource{Network: &libvirtxml.DomainDiskSourceNetwork{
		Protocol: "nbd",
		Name:     name,
		Hosts:    []libvirtxml.DomainDiskSourceHost{{Transport: "unix", Socket: exported(name, "socket")}},
	}}
}

// exportURI is the export the way qemu-img wants it.
func exportURI(name string) string {
	return "nbd+unix:///" + name + "?socket=" + exported(name, "socket")
}
