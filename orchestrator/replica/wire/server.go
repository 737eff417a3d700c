package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// Server answers one client.
type Server struct {
	// Open opens the directory that the client names.
	Open func(dir string) (replica.Place, error)
}

// Serve answers until the client has gone. What it leaves half-way stays for the next one.
func (s Server) Serve(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	t := &talk{Server: s, out: bufio.NewWriter(out), contents: map[string]methods.Content{}}
	defer func() { err = errors.Join(err, t.close()) }()
	for from := bufio.NewReaderSize(in, buffered); ; {
		m, err := readFrame(from)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := errors.Join(ctx.Err(), t.answer(ctx, &m)); err != nil {
			return err
		}
	}
}

// talk is a Serve at work.
type talk struct {
	Server
	out   *bufio.Writer
	place replica.Place
	inbox replica.Inbox
	// broken is why what was put is not there.
	broken error
	// contents are the disks that are read, by key and target.
	contents map[string]methods.Content
}

func (t *talk) close() error {
	var errs []error
	for _, c := range t.contents {
		errs = append(errs, c.Close())
	}
	if t.inbox != nil {
		errs = append(errs, t.inbox.Close())
	}
	if t.place != nil {
		errs = append(errs, t.place.Close())
	}
	return errors.Join(errs...)
}

// answer fails where the client cannot be answered.
func (t *talk) answer(ctx context.Context, m *message) error {
	reply, err := t.do(ctx, m)
	if m.Verb == put {
		t.broken = errors.Join(t.broken, err)
		return nil
	}
	if err != nil {
		reply = failure(err)
	}
	if err := writeFrame(t.out, reply); err != nil {
		return err
	}
	return t.out.Flush()
}

func (t *talk) do(ctx context.Context, m *message) (message, error) {
	if m.Verb == hello {
		return t.hello(m)
	}
	if t.place == nil {
		return message{}, errors.New("the first word is hello")
	}
	switch m.Verb {
	case list:
		return t.list(ctx, m)
	case begin:
		return t.begin(ctx, m)
	case size, read:
		return t.read(ctx, m)
	case verify:
		return message{}, t.verify(ctx, m)
	case remove:
		return message{}, t.place.Remove(ctx, m.key())
	}
	if t.inbox == nil {
		return message{}, fmt.Errorf("there is no %.32q, or nothing was begun", m.Verb)
	}
	return t.receive(ctx, m)
}

func (t *talk) hello(m *message) (reply message, err error) {
	if t.place != nil || m.Greeting != greeting {
		return reply, fmt.Errorf("this is %s: install the same version of domsnap on both hosts", greeting)
	}
	place, err := t.Open(m.Dir)
	if err != nil {
		return reply, err
	}
	t.place = place
	return message{Greeting: greeting}, nil
}

// list answers one replica after the other.
func (t *talk) list(ctx context.Context, m *message) (message, error) {
	all, err := t.place.List(ctx, m.Domain)
	if err != nil {
		return message{}, err
	}
	for i := range all {
		if err := writeFrame(t.out, message{Manifest: &all[i], More: true}); err != nil {
			return message{}, err
		}
	}
	return message{}, nil
}

// tellEvery is how many bytes are verified between two answers that say how far that is.
const tellEvery = 16 << 20

// verify tells how far it is meanwhile, if the client wants to know. Where that cannot be written, the answer cannot either.
func (t *talk) verify(ctx context.Context, m *message) error {
	told := int64(0)
	return t.place.Verify(ctx, m.key(), func(done, total int64) {
		if !m.More || done-told < tellEvery {
			return
		}
		told = done
		if writeFrame(t.out, message{Number: done, Count: total, More: true}) == nil {
			_ = t.out.Flush()
		}
	})
}

func (t *talk) begin(ctx context.Context, m *message) (message, error) {
	if t.inbox != nil || m.Manifest == nil {
		return message{}, errors.New("begin a replica: another one is on its way, or there is no manifest")
	}
	inbox, err := t.place.Begin(ctx, *m.Manifest)
	if err != nil {
		return message{}, err
	}
	t.inbox, t.broken = inbox, nil
	there := inbox.Manifest()
	return message{Manifest: &there}, nil
}

// receive is what is asked of an inbox.
func (t *talk) receive(ctx context.Context, m *message) (reply message, err error) {
	switch m.Verb {
	case sums:
		return t.sums(ctx, m)
	case put:
		return reply, t.put(ctx, m)
	case syncDisk:
		if t.broken != nil {
			return reply, t.broken
		}
		return reply, t.inbox.Sync(ctx, m.Disk, m.Number)
	case finish:
		if t.broken != nil {
			return reply, t.broken
		}
		return reply, t.inbox.Finish(ctx)
	case closeInbox:
		err := t.inbox.Close()
		t.inbox = nil
		return reply, err
	}
	return reply, fmt.Errorf("there is no %.32q", m.Verb)
}

func (t *talk) sums(ctx context.Context, m *message) (reply message, err error) {
	all, err := t.inbox.Sums(ctx, replica.SumsRequest{Disk: m.Disk, First: m.Number, Count: m.Count})
	for _, s := range all {
		reply.body = append(reply.body, s[:]...)
	}
	return reply, err
}

// put does nothing after an error: what comes later may build on it.
func (t *talk) put(ctx context.Context, m *message) error {
	if t.broken != nil {
		return nil
	}
	p := replica.Piece{Disk: m.Disk, Chunk: m.Number, Extents: m.Extents, Data: m.body}
	if len(m.Sum) != 0 && len(m.Sum) != len(p.Sum) {
		return fmt.Errorf("put chunk %d: its sum has %d bytes", m.Number, len(m.Sum))
	}
	copy(p.Sum[:], m.Sum)
	return t.inbox.Put(ctx, p)
}

// maxOpen is how many disks one client reads.
const maxOpen = 256

func (t *talk) read(ctx context.Context, m *message) (message, error) {
	name := m.Domain + "/" + m.Snapshot + "/" + m.Disk
	c, ok := t.contents[name]
	if !ok {
		if len(t.contents) >= maxOpen {
			return message{}, fmt.Errorf("read disk %.64q: %d are open already", m.Disk, len(t.contents))
		}
		var err error
		if c, err = t.place.Open(ctx, m.key(), m.Disk); err != nil {
			return message{}, err
		}
		t.contents[name] = c
	}
	if m.Verb == size {
		return message{Number: c.Size()}, nil
	}
	if m.Count < 0 || m.Count > maxBody || m.Number < 0 {
		return message{}, fmt.Errorf("read %d bytes at %d: that is too much", m.Count, m.Number)
	}
	body := make([]byte, m.Count)
	n, err := c.ReadAt(body, m.Number)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return message{body: body[:n]}, err
}
