package virt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/digitalocean/go-qemu/qmp"
	"libvirt.org/go/libvirt"
)

// monitor speaks QMP to a domain's QEMU through libvirt, which marks the domain as tainted by it.
type monitor struct {
	dom *libvirt.Domain
}

// Connect implements qmp.Monitor.
func (monitor) Connect() error { return nil }

// Disconnect implements qmp.Monitor.
func (monitor) Disconnect() error { return nil }

// Run implements qmp.Monitor.
func (m monitor) Run(command []byte) ([]byte, error) {
	reply, err := m.dom.QemuMonitorCommand(string(command), libvirt.DOMAIN_QEMU_MONITOR_COMMAND_DEFAULT)
	if err != nil {
		return nil, err
	}
	return []byte(reply), refusal([]byte(reply))
}

// Events implements qmp.Monitor.
func (monitor) Events(context.Context) (<-chan qmp.Event, error) {
	return nil, qmp.ErrEventsNotSupported
}

// qmpError is what QEMU says when it refuses a command.
type qmpError struct {
	Class string `json:"class"`
	Desc  string `json:"desc"`
}

func (e *qmpError) Error() string { return "QEMU says: " + e.Desc }

// What QEMU may say at most, which libvirt bounds too: query-block repeats itself for each image below a disk.
const (
	maxReply        = 8 << 20
	maxReplyObjects = 1 << 16
)

// refusal is the error in a reply: to libvirt it is a reply as any other.
func refusal(reply []byte) error {
	if len(reply) > maxReply || bytes.Count(reply, []byte("{")) > maxReplyObjects {
		return fmt.Errorf("read QEMU's reply: %d bytes say too much", len(reply))
	}
	var answer struct {
		Error *qmpError `json:"error"`
	}
	if err := json.Unmarshal(reply, &answer); err != nil {
		return fmt.Errorf("read QEMU's reply: %w", err)
	}
	if answer.Error != nil {
		return answer.Error
	}
	return nil
}

// query asks for something that QEMU's newer versions describe with more words than older ones, so that only what is
// needed is read.
func query(m qmp.Monitor, name string, into any) error { return execute(m, name, nil, into) }

// execute runs a command of any version of QEMU. A nil into is for one whose answer says nothing.
func execute(m qmp.Monitor, name string, args, into any) error {
	command, err := json.Marshal(qmp.Command{Execute: name, Args: args})
	if err != nil {
		return err
	}
	reply, err := m.Run(command)
	if err != nil {
		return fmt.Errorf("ask QEMU for %s: %w", name, err)
	}
	if into == nil {
		return nil
	}
	answer := struct {
		Return any `json:"return"`
	}{into}
	if err := json.Unmarshal(reply, &answer); err != nil {
		return fmt.Errorf("read QEMU's reply to %s: %w", name, err)
	}
	return nil
}

var _ qmp.Monitor = monitor{}
