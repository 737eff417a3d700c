package methodtest_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/methods/methodtest"
)

// copies is a method as an author begins: the six verbs, a snapshot being a copy beside the file.
type copies struct{}

func (copies) Traits() methods.Traits {
	return methods.Traits{Name: "copies", Summary: "a copy beside the file", ReadsDisk: true, TakeCost: methods.CostSize, RevertCost: methods.CostSize}
}

func (c copies) Plan(ctx context.Context, req methods.PlanRequest) (methods.Ref, error) {
	path := req.Disk.Source.File
	info, err := os.Stat(path)
	if path == "" || err != nil {
		return methods.Ref{}, methods.Unsupportedf("disk %s is no file", req.Disk.Target)
	}
	name, err := methods.ObjectName(req.ID, req.Disk.Target)
	if err != nil {
		return methods.Ref{}, err
	}
	ref := methods.Ref{
		Snapshot: req.ID, Method: "copies", Disk: req.Disk, Origin: path, Name: filepath.Join(filepath.Dir(path), name), Size: info.Size(),
	}
	if _, err := c.Stat(ctx, ref); err == nil {
		return methods.Ref{}, fmt.Errorf("plan %s: %w", ref.Name, methods.ErrExists)
	}
	return ref, nil
}

func (copies) Take(ctx context.Context, ref methods.Ref) error {
	content, err := os.ReadFile(ref.Origin)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	f, err := os.OpenFile(ref.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("take %s: %w", ref.Name, methods.ErrExists)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

func (copies) Stat(_ context.Context, ref methods.Ref) (methods.Info, error) {
	info, err := os.Stat(ref.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return methods.Info{}, fmt.Errorf("stat %s: %w", ref.Name, methods.ErrNotFound)
	}
	if err != nil {
		return methods.Info{}, err
	}
	return methods.Info{BytesUsed: info.Size()}, nil
}

func (copies) Drop(ctx context.Context, req methods.DropRequest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Remove(req.Ref.Name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (copies) Open(ctx context.Context, ref methods.Ref) (methods.Content, error) {
	return image.Open(ctx, image.Image{Source: methods.Source{File: ref.Name}, Format: "raw"})
}

func TestForFile(t *testing.T) {
	for name, dir := range map[string]string{"copies": "", "copies, in a directory": t.TempDir()} {
		methodtest.Run(t, methodtest.Suite{
			Name: name, Size: 128 << 10, New: methodtest.ForFile(methodtest.FileOptions{Method: copies{}, Dir: dir, Objects: filesBeside}),
		})
	}
}

// filesBeside lists everything beside a disk.
func filesBeside(t methodtest.T, disk methods.Disk) []string {
	entries, err := os.ReadDir(filepath.Dir(disk.Source.File))
	if err != nil {
		t.Fatalf("list the files beside disk %s: %v", disk.Target, err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != filepath.Base(disk.Source.File) {
			names = append(names, e.Name())
		}
	}
	return names
}
