package engine

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/domsnap/domsnap/methods"
)

// Open implements methods.Method.
func (m *Method) Open(ctx context.Context, ref methods.Ref) (methods.Content, error) {
	s, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := ask[openAnswer](ctx, s, m.act("open", refParams{ref}, nil))
	if err == nil {
		err = m.wrong("open", checkSize("size", answer.Size))
	}
	if err != nil {
		return nil, cmp.Or(err, s.end())
	}
	return &content{ctx: ctx, method: m, session: s, size: *answer.Size}, nil
}

// content is a snapshot that an engine reads for us. It keeps the context of Open, because reading has none of its own.
type content struct {
	ctx     context.Context
	method  *Method
	session *session
	size    int64

	// mu guards the block that was read last: small reads after each other ask the engine once.
	mu    sync.Mutex
	at    int64
	block []byte
}

// Size implements methods.Content.
func (c *content) Size() int64 { return c.size }

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("read at %d: it is before the beginning", offset)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	done := 0
	for done < len(p) {
		at := offset + int64(done)
		if at >= c.size {
			return done, io.EOF
		}
		if err := c.fetch(at - at%maxRead); err != nil {
			return done, err
		}
		done += copy(p[done:], c.block[at-c.at:])
	}
	return done, nil
}

// fetch makes the block that begins here the one that was read last.
func (c *content) fetch(at int64) error {
	if c.block != nil && c.at == at {
		return nil
	}
	want := min(c.size-at, maxRead)
	call := c.method.act("read", readParams{at, want}, nil)
	call.lenient = true
	answer, err := ask[readAnswer](c.ctx, c.session, call)
	switch {
	case err != nil:
		return err
	case answer.Zeros && answer.Data == nil:
		c.at, c.block = at, make([]byte, want)
		return nil
	case answer.Zeros || int64(len(answer.Data)) != want:
		return c.method.wrong("read", fmt.Errorf("%d bytes where %d were asked for", len(answer.Data), want))
	}
	c.at, c.block = at, answer.Data
	return nil
}

// Close implements io.Closer. It is told to the engine also where the context has ended, for what Open made.
func (c *content) Close() error {
	if c.session.ended() {
		return nil
	}
	_, err := ask[nothing](context.WithoutCancel(c.ctx), c.session, c.method.look("close", nothing{}))
	return cmp.Or(err, c.session.end())
}
