// Package nbd reads and writes an export of an NBD server: the baseline of the protocol, as qemu-nbd speaks it on a
// private socket. The protocol is https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md.
package nbd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
)

// The protocol's numbers.
const (
	serverMagic  = 0x4e42444d41474943 // "NBDMAGIC"
	optionMagic  = 0x49484156454f5054 // "IHAVEOPT"
	requestMagic = 0x25609513
	replyMagic   = 0x67446698

	flagFixedNewstyle = 1 << 0
	flagNoZeroes      = 1 << 1
	optionExportName  = 1

	flagReadOnly = 1 << 1

	commandRead  = 0
	commandWrite = 1
	commandClose = 2
	commandFlush = 3
)

// maxRequest is what every server takes in one request.
const maxRequest = 32 << 20

// Client is an export that is open. It may be used side by side; one request is under way at a time.
type Client struct {
	mu       sync.Mutex
	conn     net.Conn
	size     int64
	readOnly bool
	cookie   uint64
}

// Open agrees with the server at the other end of conn on its unnamed export. It takes conn over.
func Open(conn net.Conn) (*Client, error) {
	c := &Client{conn: conn}
	if err := c.negotiate(); err != nil {
		return nil, errors.Join(fmt.Errorf("negotiate with the NBD server: %w", err), conn.Close())
	}
	return c, nil
}

func (c *Client) negotiate() error {
	var greeting struct {
		Magic, Option uint64
		Flags         uint16
	}
	if err := binary.Read(c.conn, binary.BigEndian, &greeting); err != nil {
		return err
	}
	const need = flagFixedNewstyle | flagNoZeroes
	if greeting.Magic != serverMagic || greeting.Option != optionMagic || greeting.Flags&need != need {
		return errors.New("it does not speak the fixed newstyle")
	}
	choice := struct {
		Flags          uint32
		Magic          uint64
		Option, Length uint32
	}{need, optionMagic, optionExportName, 0}
	if err := binary.Write(c.conn, binary.BigEndian, choice); err != nil {
		return err
	}
	var export struct {
		Size  uint64
		Flags uint16
	}
	if err := binary.Read(c.conn, binary.BigEndian, &export); err != nil {
		return err
	}
	c.size, c.readOnly = int64(export.Size), export.Flags&flagReadOnly != 0
	if c.size < 0 {
		return fmt.Errorf("the export has %d bytes", export.Size)
	}
	return nil
}

// Size is the export's, in bytes.
func (c *Client) Size() int64 { return c.size }

// ReadAt implements io.ReaderAt.
func (c *Client) ReadAt(p []byte, off int64) (int, error) {
	return c.inPieces(p, off, commandRead)
}

// WriteAt implements io.WriterAt. It is durable after the next Sync.
func (c *Client) WriteAt(p []byte, off int64) (int, error) {
	if c.readOnly {
		return 0, syscall.EROFS
	}
	n, err := c.inPieces(p, off, commandWrite)
	if errors.Is(err, io.EOF) {
		err = io.ErrShortWrite
	}
	return n, err
}

func (c *Client) inPieces(p []byte, off int64, command uint16) (done int, err error) {
	if off < 0 {
		return 0, syscall.EINVAL
	}
	for done < len(p) {
		left := c.size - off - int64(done)
		if left <= 0 {
			return done, io.EOF
		}
		piece := p[done:min(int64(len(p)), int64(done)+min(left, maxRequest))]
		if err := c.do(command, off+int64(done), piece); err != nil {
			return done, err
		}
		done += len(piece)
	}
	return done, nil
}

// Sync returns when everything written is durable.
func (c *Client) Sync() error {
	if c.readOnly {
		return nil
	}
	return c.do(commandFlush, 0, nil)
}

// Close ends the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.send(commandClose, 0, 0), c.conn.Close())
}

// do sends one request with its data and waits for the reply.
func (c *Client) do(command uint16, off int64, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.send(command, off, len(data)); err != nil {
		return err
	}
	if command == commandWrite {
		if _, err := c.conn.Write(data); err != nil {
			return err
		}
	}
	if err := c.reply(); err != nil || command != commandRead {
		return err
	}
	_, err := io.ReadFull(c.conn, data)
	return noEnd(err)
}

func (c *Client) send(command uint16, off int64, length int) error {
	c.cookie++
	return binary.Write(c.conn, binary.BigEndian, struct {
		Magic          uint32
		Flags, Command uint16
		Cookie, Offset uint64
		Length         uint32
	}{requestMagic, 0, command, c.cookie, uint64(off), uint32(length)})
}

func (c *Client) reply() error {
	var reply struct {
		Magic, Error uint32
		Cookie       uint64
	}
	if err := binary.Read(c.conn, binary.BigEndian, &reply); err != nil {
		return noEnd(err)
	}
	switch {
	case reply.Magic != replyMagic || reply.Cookie != c.cookie:
		return errors.New("the NBD server's reply belongs to no request")
	case reply.Error != 0:
		// The protocol's errors are Linux' numbers.
		return fmt.Errorf("the NBD server says: %w", syscall.Errno(reply.Error))
	}
	return nil
}

// noEnd keeps a server that goes away from looking like the end of the export.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
