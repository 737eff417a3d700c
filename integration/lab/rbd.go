package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

func (v *volume) inImage(spec string) {
	v.source = spec
	v.create = func(ctx context.Context, template string) error {
		return runAll(ctx, [][]string{{"lab-ceph-wait"}, {"rbd", "--no-progress", "import", template, spec}})
	}
	v.remove = func(ctx context.Context) error { return removeImage(ctx, spec) }
}

// removeImage waits out the watcher that a killed QEMU leaves behind for half a minute.
func removeImage(ctx context.Context, spec string) error {
	pool, name, _ := strings.Cut(spec, "/")
	there, err := images(ctx, pool)
	if err != nil || !slices.Contains(there, name) {
		return err
	}
	if err := runAll(ctx, [][]string{{"rbd", "--no-progress", "snap", "purge", spec}}); err != nil {
		return err
	}
	for {
		_, err = Command(ctx, "rbd", "--no-progress", "rm", spec)
		if err == nil || !strings.Contains(err.Error(), "watchers") {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove image: %w", err)
		case <-time.After(time.Second):
		}
	}
}

func images(ctx context.Context, pool string) ([]string, error) {
	out, err := Command(ctx, "rbd", "ls", "--format", "json", pool)
	if err != nil {
		return nil, err
	}
	var names []string
	if err := json.Unmarshal([]byte(out), &names); err != nil {
		return nil, fmt.Errorf("read list of images: %w", err)
	}
	return names, nil
}
