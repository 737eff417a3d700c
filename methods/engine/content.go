package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

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
}

// Size implements methods.Content.
func (c *content) Size() int64 { return c.size }

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("read at %d: %w", offset, errors.ErrUnsupported)
	}
	done := 0
	for done < len(p) {
		at := offset + int64(done)
		want := min(int64(len(p)-done), c.size-at, maxRead)
		if want <= 0 {
			return done, io.EOF
		}
		if err := c.read(p[done:done+int(want)], at); err != nil {
			return done, err
		}
		done += int(want)
	}
	return done, nil
}

func (c *content) read(p []byte, offset int64) error {
	call := c.method.act("read", readParams{offset, int64(len(p))}, nil)
	call.lenient = true
	answer, err := ask[readAnswer](c.ctx, c.session, call)
	switch {
	case err != nil:
		return err
	case answer.Zeros && answer.Data == nil:
		clear(p)
		return nil
	case answer.Zeros || len(answer.Data) != len(p):
		return c.method.wrong("read", fmt.Errorf("%d bytes where %d were asked for", len(answer.Data), len(p)))
	}
	copy(p, answer.Data)
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
