package engine

import (
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

// tail keeps the end of what an engine says on its standard error.
type tail struct {
	mu   sync.Mutex
	kept []byte
	done chan struct{}
}

// follow reads to the end, which comes when the pipe is closed on either side.
func follow(r io.Reader) *tail {
	t := &tail{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		buf := make([]byte, 4<<10)
		for {
			n, err := r.Read(buf)
			t.add(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	return t
}

func (t *tail) add(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - maxStderr; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
}

// wait gives the rest of what was said a moment to come through.
func (t *tail) wait(limit time.Duration) {
	select {
	case <-t.done:
	case <-time.After(limit):
	}
}

// String is what was kept, fit for a terminal.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(printable(string(t.kept)))
}

// printable replaces what is neither text nor the end of a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(s, "?"))
}

// lastLines is the end of a text in one line.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
