package methodtest

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// restless is the longest pause between two swaps.
const restless = 3 * time.Millisecond

// Race is somebody who may write to a directory and, as fast as possible, puts a link in the place of a file in it and
// takes it away again.
type Race struct {
	path, link string
	swaps      atomic.Int64
	stop, done chan struct{}
}

// RaceTime is how long a race lasts: a second, or what the variable DOMSNAP_RACE_TIME says.
func RaceTime(t testing.TB) time.Duration {
	t.Helper()
	text := cmp.Or(os.Getenv("DOMSNAP_RACE_TIME"), "1s")
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// StartRace swaps what is at the path, or nothing, with a link to the target.
func StartRace(t testing.TB, path, target string) *Race {
	t.Helper()
	r := &Race{path: path, link: path + ".link", stop: make(chan struct{}), done: make(chan struct{})}
	if err := os.Symlink(target, r.link); err != nil {
		t.Fatal(err)
	}
	go r.run(target)
	return r
}

func (r *Race) run(target string) {
	defer close(r.done)
	for {
		select {
		case <-r.stop:
			return
		default:
			r.swap(target)
			// A pause of its own length each time, so that every moment of the other side's work is met.
			time.Sleep(time.Duration(rand.Int64N(int64(restless))))
		}
	}
}

// swap exchanges what is there with the link, and back; where nothing is, the link is there for a moment.
func (r *Race) swap(target string) {
	err := unix.Renameat2(unix.AT_FDCWD, r.link, unix.AT_FDCWD, r.path, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.ENOENT) && os.Symlink(target, r.path) == nil {
		time.Sleep(10 * time.Microsecond)
		r.takeBack()
		return
	}
	if err == nil {
		time.Sleep(100 * time.Microsecond)
		r.swaps.Add(1)
		_ = unix.Renameat2(unix.AT_FDCWD, r.link, unix.AT_FDCWD, r.path, unix.RENAME_EXCHANGE)
	}
}

// takeBack removes the link, and not what has come in its place.
func (r *Race) takeBack() {
	if info, err := os.Lstat(r.path); err == nil && info.Mode()&os.ModeSymlink != 0 {
		_ = os.Remove(r.path)
	}
}

// End stops it and says how often it swapped something. Its link is gone.
func (r *Race) End() int64 {
	close(r.stop)
	<-r.done
	for _, path := range []string{r.path, r.link} {
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 {
			_ = os.Remove(path)
		}
	}
	if _, err := os.Lstat(r.link); err == nil {
		_ = os.Rename(r.link, r.path)
	}
	return r.swaps.Load()
}

// Canary is a file that must not change, with a content of its own.
type Canary struct {
	Path string
	t    testing.TB
	info os.FileInfo
}

// CanaryText is what every canary holds.
const CanaryText = "root:canary:0:0:what nobody may read or change\n"

// NewCanary makes one of at least the size, so that it could be taken for an image.
func NewCanary(t testing.TB, size int64) *Canary {
	t.Helper()
	return CanaryIn(t, t.TempDir(), size)
}

// CanaryIn makes one in a directory, as on the file system that is tested.
func CanaryIn(t testing.TB, dir string, size int64) *Canary {
	t.Helper()
	path := filepath.Join(dir, "canary")
	if err := errors.Join(os.WriteFile(path, []byte(CanaryText), 0o600), os.Truncate(path, max(size, int64(len(CanaryText))))); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return &Canary{Path: path, t: t, info: info}
}

// Check fails the test where anybody has touched it.
func (c *Canary) Check() {
	c.t.Helper()
	info, err := os.Lstat(c.Path)
	if err != nil {
		c.t.Errorf("the canary is gone: %v", err)
		return
	}
	head := make([]byte, len(CanaryText))
	f, err := os.Open(c.Path)
	if err == nil {
		_, err = f.ReadAt(head, 0)
		err = errors.Join(err, f.Close())
	}
	if err != nil || string(head) != CanaryText || info.Mode() != c.info.Mode() || info.Size() != c.info.Size() ||
		!info.ModTime().Equal(c.info.ModTime()) || !os.SameFile(info, c.info) {
		c.t.Errorf("the canary has changed: %q, %v, %d bytes, %v", head, info.Mode(), info.Size(), err)
	}
}
