package virt

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/methods/trace"
)

// agentTimeout bounds a call of the agent whose context has no end.
const agentTimeout = 60 * time.Second

// What an agent may say at most, which is more than any honest one does: bytes, JSON objects, and file systems.
const (
	maxAgentReply   = 1 << 20
	maxAgentObjects = 1 << 15
	maxFilesystems  = 1 << 15
)

// Ping implements quiesce.Guest.
func (d *Domain) Ping(ctx context.Context) error {
	return d.agent(ctx, "guest-ping", nil)
}

// FreezeFilesystems implements quiesce.Guest. The agent is asked directly: libvirt's own call keeps the number to
// itself.
func (d *Domain) FreezeFilesystems(ctx context.Context) (int, error) {
	return d.count(ctx, "guest-fsfreeze-freeze")
}

// ThawFilesystems implements quiesce.Guest.
func (d *Domain) ThawFilesystems(ctx context.Context) (int, error) {
	return d.count(ctx, "guest-fsfreeze-thaw")
}

// count sends a command that answers on how many file systems it acted.
func (d *Domain) count(ctx context.Context, command string) (int, error) {
	var n filesystemCount
	err := trace.Do(ctx, "agent: "+command, func() error { return d.agent(ctx, command, &n) })
	return int(n), err
}

// filesystemCount is what an agent can have done.
type filesystemCount int

// UnmarshalJSON fails for a number that cannot be.
func (c *filesystemCount) UnmarshalJSON(text []byte) error {
	var n int
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	if n < 0 || n > maxFilesystems {
		return fmt.Errorf("%d file systems cannot be", n)
	}
	*c = filesystemCount(n)
	return nil
}

// Frozen implements quiesce.Guest.
func (d *Domain) Frozen(ctx context.Context) (bool, error) {
	var status string
	err := d.agent(ctx, "guest-fsfreeze-status", &status)
	return status == "frozen", err
}

// CoveredDisks implements orchestrator.Domain.
func (d *Domain) CoveredDisks(ctx context.Context) (int, error) {
	var filesystems []filesystem
	if err := d.agent(ctx, "guest-get-fsinfo", &filesystems); err != nil {
		return 0, err
	}
	return covered(filesystems), nil
}

// covered counts the disks that have file systems on them.
func covered(filesystems []filesystem) int {
	seen := map[diskAddress]bool{}
	for _, fs := range filesystems {
		for _, disk := range fs.Disk {
			seen[disk] = true
		}
	}
	return len(seen)
}

// filesystem is one of the guest's.
type filesystem struct {
	Disk []diskAddress `json:"disk"`
}

// diskAddress is where the guest has a disk: two partitions of one disk have the same.
type diskAddress struct {
	Bus        string `json:"bus-type"`
	Controller struct {
		Domain   int `json:"domain"`
		Bus      int `json:"bus"`
		Slot     int `json:"slot"`
		Function int `json:"function"`
	} `json:"pci-controller"`
	Channel int `json:"bus"`
	Target  int `json:"target"`
	Unit    int `json:"unit"`
}

// agent sends a command without arguments and decodes what it returns; a nil into is for commands whose reply says
// nothing.
func (d *Domain) agent(ctx context.Context, command string, into any) error {
	// Where no reply comes that is the agent's silence and not libvirt's.
	reply, err := await(ctx, onto(d, func(d *Domain) (string, error) {
		timeout := libvirt.DomainQemuAgentCommandTimeout(secondsLeft(ctx, agentTimeout))
		reply, err := d.dom.QemuAgentCommand(fmt.Sprintf("{%q:%q}", "execute", command), timeout, 0)
		return reply, d.orGone(err)
	}))
	if err != nil {
		return fmt.Errorf("ask the agent for %s: %w", command, err)
	}
	if into == nil {
		return nil
	}
	return decodeReply(command, reply, into)
}

func decodeReply(command, reply string, into any) error {
	if len(reply) > maxAgentReply || strings.Count(reply, "{") > maxAgentObjects {
		return fmt.Errorf("read the agent's reply to %s: %d bytes say too much", command, len(reply))
	}
	var answer struct {
		Return json.RawMessage `json:"return"`
	}
	err := json.Unmarshal([]byte(reply), &answer)
	if err == nil {
		// Without a return there is nothing to read, which is an error too.
		err = json.Unmarshal(answer.Return, into)
	}
	if err != nil {
		return fmt.Errorf("read the agent's reply to %s: %w", command, err)
	}
	return nil
}
