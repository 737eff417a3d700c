package lab

import (
	"context"
	"fmt"
	"os"
)

// build makes the volume with its file system. The file system is made on a sparse file on a tmpfs first, because
// that is alike for all kinds and quick.
func (v *volume) build(ctx context.Context) error {
	if v.create == nil {
		return nil
	}
	template, err := newTemplate(ctx, v.disk)
	if err != nil {
		return err
	}
	defer os.Remove(template)
	if err := v.create(ctx, template); err != nil {
		return fmt.Errorf("create disk %s: %w", v.disk.Target, err)
	}
	return nil
}

func newTemplate(ctx context.Context, disk Disk) (string, error) {
	file, err := os.CreateTemp("", "template-")
	if err != nil {
		return "", fmt.Errorf("create template: %w", err)
	}
	defer file.Close()
	if err := format(ctx, file, disk); err != nil {
		os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}

func format(ctx context.Context, file *os.File, disk Disk) error {
	if err := file.Truncate(disk.Size); err != nil {
		return fmt.Errorf("size template: %w", err)
	}
	mkfs, err := disk.mkfs(file.Name())
	if err != nil || mkfs == nil {
		return err
	}
	_, err = Command(ctx, mkfs[0], mkfs[1:]...)
	return err
}
