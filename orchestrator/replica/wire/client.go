package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// Conn leads to the other side.
type Conn interface {
	io.ReadWriter
	// Close says why the other side has gone, where that is known.
	Close() error
}

// client is the Place at the other end.
type client struct {
	conn Conn
	in   *bufio.Reader
	out  *bufio.Writer
	// mu lets one request after the other be answered.
	mu sync.Mutex
}

// Dial opens a directory of the other side.
func Dial(ctx context.Context, conn Conn, dir string) (replica.Place, error) {
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, buffered), out: bufio.NewWriterSize(conn, buffered)}
	reply, err := c.ask(ctx, message{Verb: hello, Greeting: greeting, Dir: dir})
	if err == nil && reply.Greeting != greeting {
		err = fmt.Errorf("who answers there says %.64q, and not %q", reply.Greeting, greeting)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// ask sends a request and waits for its answer.
func (c *client) ask(ctx context.Context, m message) (message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.send(ctx, m); err != nil {
		return message{}, err
	}
	return c.receive()
}

func (c *client) send(ctx context.Context, m message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := writeFrame(c.out, m)
	if err == nil && m.Verb != put {
		err = c.out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write to the other side: %w", err)
	}
	return nil
}

func (c *client) receive() (message, error) {
	reply, err := readFrame(c.in)
	if err != nil {
		return message{}, fmt.Errorf("read what the other side answers: %w", unexpected(err))
	}
	return reply, reply.failed()
}

// List implements replica.Place.
func (c *client) List(ctx context.Context, uuid string) ([]replica.Manifest, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.send(ctx, message{Verb: list, Domain: uuid}); err != nil {
		return nil, err
	}
	all := []replica.Manifest{}
	for {
		reply, err := c.receive()
		if err != nil || !reply.More {
			return all, err
		}
		if reply.Manifest == nil {
			return nil, errors.New("list replicas: what the other side answers is none")
		}
		if err := checkListed(reply.Manifest); err != nil {
			return nil, err
		}
		all = append(all, *reply.Manifest)
	}
}

// checkListed believes nothing that a store here would not say.
func checkListed(m *replica.Manifest) error {
	if m.State == replica.Broken {
		return m.Key.Check()
	}
	return m.Check()
}

// Begin implements replica.Place.
func (c *client) Begin(ctx context.Context, m replica.Manifest) (replica.Inbox, error) {
	reply, err := c.ask(ctx, message{Verb: begin, Manifest: &m})
	if err != nil {
		return nil, err
	}
	if reply.Manifest == nil || reply.Manifest.Key != m.Key {
		return nil, errors.New("begin a replica: the other side has begun another one")
	}
	return &remoteInbox{c, *reply.Manifest}, reply.Manifest.Check()
}

// Open implements replica.Place.
func (c *client) Open(ctx context.Context, k replica.Key, disk string) (methods.Content, error) {
	m := ofKey(size, k)
	m.Disk = disk
	reply, err := c.ask(ctx, m)
	return &remoteContent{client: c, key: k, disk: disk, size: reply.Number}, err
}

// Verify implements replica.Place.
func (c *client) Verify(ctx context.Context, k replica.Key, progress methods.Progress) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := ofKey(verify, k)
	m.More = true
	err := c.send(ctx, m)
	for err == nil {
		var reply message
		reply, err = c.receive()
		if err != nil || !reply.More {
			return err
		}
		if reply.Number < 0 || reply.Number > reply.Count {
			return fmt.Errorf("verify a replica: the other side is at %d of %d", reply.Number, reply.Count)
		}
		progress.Report(reply.Number, reply.Count)
		err = ctx.Err()
	}
	return err
}

// Remove implements replica.Place.
func (c *client) Remove(ctx context.Context, k replica.Key) error {
	_, err := c.ask(ctx, ofKey(remove, k))
	return err
}

// Close implements replica.Place.
func (c *client) Close() error { return c.conn.Close() }

// remoteInbox is a replica on its way there.
type remoteInbox struct {
	*client
	manifest replica.Manifest
}

// Manifest implements replica.Inbox.
func (r *remoteInbox) Manifest() replica.Manifest { return r.manifest }

// Sums implements replica.Inbox.
func (r *remoteInbox) Sums(ctx context.Context, q replica.SumsRequest) ([]replica.Sum, error) {
	reply, err := r.ask(ctx, message{Verb: sums, Disk: q.Disk, Number: q.First, Count: q.Count})
	if err != nil {
		return nil, err
	}
	var all []replica.Sum
	for text := reply.body; len(text) > 0; {
		var s replica.Sum
		if len(text) < len(s) {
			return nil, errors.New("read sums: the other side has cut one short")
		}
		text = text[copy(s[:], text):]
		all = append(all, s)
	}
	return all, nil
}

// Put implements replica.Inbox. It does not wait for an answer.
func (r *remoteInbox) Put(ctx context.Context, p replica.Piece) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := message{Verb: put, Disk: p.Disk, Number: p.Chunk, Extents: p.Extents, body: p.Data}
	if (p.Sum != replica.Sum{}) {
		m.Sum = p.Sum[:]
	}
	return r.send(ctx, m)
}

// Sync implements replica.Inbox.
func (r *remoteInbox) Sync(ctx context.Context, disk string, done int64) error {
	_, err := r.ask(ctx, message{Verb: syncDisk, Disk: disk, Number: done})
	return err
}

// Finish implements replica.Inbox.
func (r *remoteInbox) Finish(ctx context.Context) error {
	_, err := r.ask(ctx, message{Verb: finish})
	return err
}

// Close implements replica.Inbox.
func (r *remoteInbox) Close() error {
	_, err := r.ask(context.Background(), message{Verb: closeInbox})
	return err
}

// remoteContent is a disk of a replica there.
type remoteContent struct {
	*client
	key  replica.Key
	disk string
	size int64
}

// Size implements methods.Content.
func (r *remoteContent) Size() int64 { return r.size }

// Close implements methods.Content: the other side closes what it has open with the connection.
func (r *remoteContent) Close() error { return nil }

// ReadAt implements methods.Content.
func (r *remoteContent) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		m := ofKey(read, r.key)
		m.Disk, m.Number, m.Count = r.disk, at+int64(n), int64(min(len(p)-n, maxBody))
		reply, err := r.ask(context.Background(), m)
		if err != nil {
			return n, err
		}
		if len(reply.body) == 0 {
			return n, io.EOF
		}
		n += copy(p[n:], reply.body)
	}
	return n, nil
}

var (
	_ replica.Place = (*client)(nil)
	_ replica.Inbox = (*remoteInbox)(nil)
)
