package lab

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
)

// control is the second way into the guest, a shell on a virtio-serial port of its own. It works while the agent is
// stopped, or while file systems are frozen. Scripts run side by side; a reply is found by its number.
type control struct {
	path string

	mu      sync.Mutex
	conn    net.Conn
	next    int
	waiting map[string]chan controlReply
}

type controlReply struct {
	code   int
	output string
}

// Control runs a shell script in the guest without the agent and returns its standard output and error. A script
// that fails is an error too.
func (d *Domain) Control(ctx context.Context, script string) (string, error) {
	id, replies, err := d.control.send(ctx, script)
	if err != nil {
		return "", fmt.Errorf("send control line: %w", err)
	}
	select {
	case <-ctx.Done():
		d.control.forget(id)
		return "", fmt.Errorf("wait for control reply: %w", ctx.Err())
	case reply, ok := <-replies:
		if !ok {
			return "", fmt.Errorf("wait for control reply: %w", net.ErrClosed)
		}
		if reply.code != 0 {
			return reply.output, fmt.Errorf("run %q in guest: exit code %d: %s", script, reply.code, reply.output)
		}
		return reply.output, nil
	}
}

func (c *control) send(ctx context.Context, script string) (string, chan controlReply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.connect(ctx); err != nil {
		return "", nil, err
	}
	c.next++
	id := strconv.Itoa(c.next)
	line := id + " " + base64.StdEncoding.EncodeToString([]byte(script)) + "\n"
	if _, err := c.conn.Write([]byte(line)); err != nil {
		return "", nil, err
	}
	c.waiting[id] = make(chan controlReply, 1)
	return id, c.waiting[id], nil
}

// connect wants mu held.
func (c *control) connect(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", c.path)
	if err != nil {
		return err
	}
	c.conn, c.waiting = conn, map[string]chan controlReply{}
	go c.receive(conn)
	return nil
}

func (c *control) receive(conn net.Conn) {
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			c.hangUp(conn)
			return
		}
		c.deliver(line)
	}
}

// deliver hands a line "number exit-code base64(output)" to the one who waits for it; other lines are noise.
func (c *control) deliver(line string) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return
	}
	code, err := strconv.Atoi(fields[1])
	if err != nil {
		return
	}
	output, err := base64.StdEncoding.DecodeString(strings.Join(fields[2:], ""))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if replies, ok := c.waiting[fields[0]]; ok {
		delete(c.waiting, fields[0])
		replies <- controlReply{code, string(output)}
	}
}

func (c *control) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

func (c *control) close() {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn != nil {
		c.hangUp(conn)
	}
}

// hangUp ends a connection and all that wait on it.
func (c *control) hangUp(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn.Close()
	if c.conn != conn {
		return
	}
	for _, replies := range c.waiting {
		close(replies)
	}
	c.conn, c.waiting = nil, nil
}
