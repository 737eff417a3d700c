package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const mountTimeout = 2 * time.Minute

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
	n := blockDevice{name: "nbd0", pidFile: filepath.Join(dir, "pid")}
	ctx, cancel := context.WithTimeout(ctx, mountTimeout)
	defer cancel()
	if err := n.connect(ctx, disk.Driver.Type, location(disk)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.disconnect(ctx)) }()
	at := filepath.Join(dir, "disk")
	if err := runAll(ctx, [][]string{{"mkdir", at}, {"mount", n.path(), at}}); err != nil {
		return err
	}
	return errors.Join(fn(at), runAll(ctx, [][]string{{"umount", at}}))
}

// blockDevice is a disk that QEMU reads and the kernel has as a device.
type blockDevice struct{ name, pidFile string }

func (b blockDevice) path() string { return "/dev/" + b.name }

// connect waits until the kernel has begun: QEMU's tool returns just before.
func (b blockDevice) connect(ctx context.Context, format, location string) error {
	if _, err := Command(ctx, "qemu-nbd", "--connect="+b.path(), "--pid-file="+b.pidFile, "-f", format, location); err != nil {
		return err
	}
	err := poll(ctx, func() bool {
		_, err := os.Stat(filepath.Join("/sys/block", b.name, "pid"))
		size, _ := os.ReadFile(filepath.Join("/sys/block", b.name, "size"))
		return err == nil && strings.TrimSpace(string(size)) != "0"
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w", b.path(), err)
	}
	return nil
}

// poll waits until something is so.
func poll(ctx context.Context, so func() bool) error {
	for !so() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
	return nil
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
	if _, err := Command(ctx, "qemu-nbd", "--disconnect", b.path()); err != nil {
		return err
	}
	err = poll(ctx, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	if err != nil {
		return fmt.Errorf("wait for NBD server: %w", err)
	}
	return nil
}
