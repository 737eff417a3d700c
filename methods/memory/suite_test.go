package memory_test

import (
	"bytes"
	"context"
	"io"
	"path"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/memory"
	"github.com/domsnap/domsnap/methods/methodtest"
)

func TestSuite(t *testing.T) {
	for name, o := range map[string]memory.Options{
		"memory":                  {},
		"memory, one lock":        {Lock: "all"},
		"memory, atomic":          {Atomic: true},
		"memory, moving":          {Move: stay},
		"memory, without revert":  {Without: methods.Verbs{Revert: true}},
		"memory, without changes": {Without: methods.Verbs{Changes: true}},
		"memory, without either":  {Without: methods.Verbs{Revert: true, Changes: true}},
		"memory, without any verb": {Without: methods.Verbs{
			Claim: true, Prepare: true, Source: true, Changes: true, Revert: true, List: true,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			methodtest.Run(t, methodtest.Suite{Name: name, Size: 256 << 10, New: func(methodtest.T) methodtest.Fixture {
				store := memory.NewStore()
				return suiteFixture(store, memory.New(store, o))
			}})
		})
	}
}

func TestSuiteKeeping(t *testing.T) {
	methodtest.Run(t, methodtest.Suite{Name: "memory, keeping", Size: 256 << 10, New: func(methodtest.T) methodtest.Fixture {
		store := memory.NewStore()
		return suiteFixture(store, memory.Keeping{Method: memory.New(store, memory.Options{})})
	}})
}

// stay moves a disk of no domain: there is nobody to be told.
func stay(context.Context, methods.Domain, string, string) error { return nil }

func suiteFixture(store *memory.Store, m methods.Method) methodtest.Fixture {
	return methodtest.Fixture{
		Method: m, Disks: store,
		NewDisk: func(t methodtest.T, target string, content []byte) methods.Disk {
			disk := diskAt(target)
			store.SetDisk(disk.Source.File, content)
			t.Cleanup(func() { store.RemoveDisk(disk.Source.File) })
			return disk
		},
		Objects: func(_ methodtest.T, disk methods.Disk) []string {
			return slices.DeleteFunc(store.Objects(), func(name string) bool { return path.Ext("x."+name[len(name)-3:]) != "."+disk.Target })
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

type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

var _ io.ReaderAt = content{}
