package methodtest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime/debug"

	"github.com/domsnap/domsnap/methods"
)

// bench is where a check works: its T, its fixture, and the disks it makes.
type bench struct {
	T
	Fixture
	suite Suite
}

func (s Suite) bench(t T) *bench {
	if s.Size == 0 {
		s.Size = DefaultSize
	}
	return &bench{T: t, Fixture: s.New(t), suite: s}
}

// disk makes a disk with some content.
func (b *bench) disk(target string) *subject {
	b.Helper()
	content := pattern(target, b.suite.Size)
	s := &subject{bench: b, disk: b.NewDisk(b, target, content), content: content}
	b.Cleanup(s.leave)
	return s
}

// id makes a snapshot's id that no other check has.
func (b *bench) id(label string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(b.Name()))
	return fmt.Sprintf("t%08x%s", h.Sum32(), label)
}

// background is a context that also serves cleanups.
func (b *bench) background() context.Context { return context.WithoutCancel(b.Context()) }

func (b *bench) guard() {
	if r := recover(); r != nil {
		b.Errorf("panic: %v\n%s", r, debug.Stack())
	}
}

// must ends the check on an error.
func (b *bench) must(verb string, err error) {
	b.Helper()
	if err != nil {
		b.Fatalf("%s: %+v", verb, err)
	}
}

// wantError wants one of several kinds of error, nil being one too.
func (b *bench) wantError(verb string, err error, kinds ...error) {
	b.Helper()
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return
		}
	}
	b.Errorf("%s: the error is %v, want %v", verb, err, kinds)
}

// objects lists what there is for snapshots of a disk; nil where nobody can say.
func (b *bench) objects(disk methods.Disk) []string {
	b.Helper()
	if b.Objects != nil {
		return b.Objects(b, disk)
	}
	names, err := methods.List(b.background(), b.Method, disk)
	if err != nil && !errors.Is(err, methods.ErrUnsupported) {
		b.Errorf("list the snapshots of disk %s: %v", disk.Target, err)
	}
	return names
}
