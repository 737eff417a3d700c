package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Mounted has the lab's own kernel mount a disk of the domain, which must be off, and calls fn with the directory. When it
// returns nobody has the disk open any more.
func (d *Domain) Mounted(ctx context.Context, target string, fn func(dir string) error) (err error) {
	disk, err := d.definedDisk(target)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mounted-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n := blockDevice{path: "/dev/nbd0", pidFile: filepath.Join(dir, "pid")}
	if err := n.connect(ctx, disk.Driver.Type, location(disk)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.disconnect(ctx)) }()
	at := filepath.Join(dir, "disk")
	if err := runAll(ctx, [][]string{{"mkdir", at}, {"mount", n.path, at}}); err != nil {
		return err
	}
	return errors.Join(fn(at), runAll(ctx, [][]string{{"umount", at}}))
}

// blockDevice is a disk that QEMU reads and the kernel has as a device.
type blockDevice struct{ path, pidFile string }

func (b blockDevice) connect(ctx context.Context, format, location string) error {
	_, err := Command(ctx, "qemu-nbd", "--connect="+b.path, "--pid-file="+b.pidFile, "-f", format, location)
	return err
}

// disconnect waits for the end of the server, which may hold a lock on the disk until then.
func (b blockDevice) disconnect(ctx context.Context) error {
	text, err := os.ReadFile(b.pidFile)
	if err != nil {
		return fmt.Errorf("find NBD server: %w", err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		return fmt.Errorf("read %s: %w", b.pidFile, err)
	}
	if _, err := Command(ctx, "qemu-nbd", "--disconnect", b.path); err != nil {
		return err
	}
	for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for NBD server: %w", ctx.Err())
		case <-time.After(pollInterval):
		}
	}
	return nil
}
