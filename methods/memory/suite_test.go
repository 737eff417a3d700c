package memory_test

import (
	"bytes"
	"context"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/methods/methodtest"
)

// ways are the options that make another method of it.
func ways() map[string]memory.Options {
	return map[string]memory.Options{
		"memory":                    {},
		"memory, one lock":          {Lock: "all"},
		"memory, atomic":            {Atomic: true},
		"memory, moving":            {Move: stay},
		"memory, atomic and moving": {Atomic: true, Move: stay},
		"memory, without revert":    {Without: methods.Verbs{Revert: true}},
		"memory, without changes":   {Without: methods.Verbs{Changes: true}},
		"memory, without either":    {Without: methods.Verbs{Revert: true, Changes: true}},
		"memory, without any verb": {Without: methods.Verbs{
			Claim: true, Prepare: true, Source: true, Changes: true, Revert: true, List: true,
		}},
	}
}

func TestSuite(t *testing.T) {
	for name, o := range ways() {
		runSuite(t, name, func(s *memory.Store) methods.Method { return memory.New(s, o) })
	}
	runSuite(t, "memory, keeping", func(s *memory.Store) methods.Method {
		return memory.Keeping{Method: memory.New(s, memory.Options{})}
	})
}

func runSuite(t *testing.T, name string, method func(*memory.Store) methods.Method) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		methodtest.Run(t, methodtest.Suite{Name: name, Size: 128 << 10, New: func(methodtest.T) methodtest.Fixture {
			store := memory.NewStore()
			return suiteFixture(store, method(store))
		}})
	})
}

// stay moves a disk of no domain: there is nobody to be told.
func stay(context.Context, methods.Domain, string, string) error { return nil }

func suiteFixture(store *memory.Store, m methods.Method) methodtest.Fixture {
	return methodtest.Fixture{
		Method: m, Disks: store,
		NewDisk: func(_ methodtest.T, target string, content []byte) methods.Disk {
			disk := diskAt(target)
			store.SetDisk(disk.Source.File, content)
			return disk
		},
		Present: func(_ methodtest.T, disk methods.Disk) methods.Disk {
			disk.Source.File = present(store, disk.Target)
			return disk
		},
		Objects: func(_ methodtest.T, disk methods.Disk) []string {
			return slices.DeleteFunc(store.Objects(), func(name string) bool { return !strings.HasSuffix(name, "-"+disk.Target) })
		},
		OpenSource: func(_ context.Context, source methods.BackupSource) (methods.Content, error) {
			return content{bytes.NewReader(store.Snapshot(path.Base(source.URI)))}, nil
		},
		Grow: func(_ methodtest.T, disk methods.Disk) {
			store.SetDisk(disk.Source.File, append(store.Disk(disk.Source.File), 0))
		},
		Spoil: func(_ methodtest.T, disk methods.Disk) { store.RemoveDisk(disk.Source.File) },
	}
}

// present is where a disk is now: where it was made, or where its last snapshot moved it.
func present(store *memory.Store, target string) string {
	for _, source := range store.Sources() {
		if source == memory.Prefix+target || strings.HasPrefix(source, memory.Prefix+target+".") {
			return source
		}
	}
	return ""
}

type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

var _ io.ReaderAt = content{}
