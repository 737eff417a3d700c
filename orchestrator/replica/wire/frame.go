// Package wire has a place of replicas on another host, at the other end of two pipes.
//
// Both sides speak in frames: the lengths of a header and of a body, each in four bytes with the high ones first, the header as
// JSON, the body as it is. A request has an answer, but for what is put into a replica: errors of that are the answer to the
// next sync. A list has one more for each replica before it, a verification those that say how far it is. The first request is a hello, which names the version and the directory.
package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// greeting is the version of what is spoken here.
const greeting = "domsnap-replicas-1"

const (
	maxHeader = 2 << 20
	maxBody   = 1 << 20
	// buffered is what is read and written at once.
	buffered = 128 << 10
)

// The verbs.
const (
	hello      = "hello"
	list       = "list"
	begin      = "begin"
	sums       = "sums"
	put        = "put"
	syncDisk   = "sync"
	finish     = "finish"
	closeInbox = "close"
	size       = "size"
	read       = "read"
	verify     = "verify"
	remove     = "remove"
)

// message is a request or an answer. What a verb does not need is left out.
type message struct {
	Verb     string `json:"verb,omitempty"`
	Greeting string `json:"greeting,omitempty"`
	Dir      string `json:"dir,omitempty"`
	// Domain and Snapshot are a replica's key.
	Domain   string            `json:"domain,omitempty"`
	Snapshot string            `json:"snapshot,omitempty"`
	Disk     string            `json:"disk,omitempty"`
	Manifest *replica.Manifest `json:"manifest,omitempty"`
	// Number and Count are chunks, or an offset and a length in bytes.
	Number  int64            `json:"number,omitempty"`
	Count   int64            `json:"count,omitempty"`
	Sum     []byte           `json:"sum,omitempty"`
	Extents []methods.Extent `json:"extents,omitempty"`
	// More: another answer to the same request follows, or, in a request to verify, may.
	More  bool   `json:"more,omitempty"`
	Error string `json:"error,omitempty"`
	Kind  string `json:"kind,omitempty"`
	body  []byte
}

func (m *message) key() replica.Key { return replica.Key{Domain: m.Domain, Snapshot: m.Snapshot} }

func ofKey(verb string, k replica.Key) message {
	return message{Verb: verb, Domain: k.Domain, Snapshot: k.Snapshot}
}

// writeFrame leaves it to the caller to flush.
func writeFrame(w *bufio.Writer, m message) error {
	header, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(header) > maxHeader || len(m.body) > maxBody {
		return fmt.Errorf("write a message: it has %d and %d bytes", len(header), len(m.body))
	}
	var lengths [8]byte
	binary.BigEndian.PutUint32(lengths[:4], uint32(len(header)))
	binary.BigEndian.PutUint32(lengths[4:], uint32(len(m.body)))
	for _, part := range [][]byte{lengths[:], header, m.body} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// readFrame fails with io.EOF where there is no more, and with io.ErrUnexpectedEOF in the midst of a frame.
func readFrame(r io.Reader) (message, error) {
	var m message
	var lengths [8]byte
	if _, err := io.ReadFull(r, lengths[:]); err != nil {
		return m, err
	}
	header, body := binary.BigEndian.Uint32(lengths[:4]), binary.BigEndian.Uint32(lengths[4:])
	if header > maxHeader || body > maxBody {
		return m, fmt.Errorf("read a message: it begins with %q, as none does", lengths[:])
	}
	text := make([]byte, int(header)+int(body))
	if _, err := io.ReadFull(r, text); err != nil {
		return m, unexpected(err)
	}
	if err := json.Unmarshal(text[:header], &m); err != nil {
		return m, fmt.Errorf("read a message: %w", err)
	}
	m.body = text[header:]
	return m, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
