package lab

import (
	"context"
	"fmt"
	"time"

	"libvirt.org/go/libvirt"
)

// daemonTimeout is how long libvirt's daemon may take to come up.
const daemonTimeout = 30 * time.Second

// StopAgent makes the agent hang: it stays connected and answers nothing until StartAgent.
func (d *Domain) StopAgent(ctx context.Context) error {
	_, err := d.Control(ctx, "killall -STOP qemu-ga")
	return err
}

// KillAgent ends the agent: libvirt sees it disconnected until StartAgent.
func (d *Domain) KillAgent(ctx context.Context) error {
	_, err := d.Control(ctx, "touch /run/agent.off && killall -KILL qemu-ga")
	return err
}

// RestartAgent ends the agent; the guest starts another at once.
func (d *Domain) RestartAgent(ctx context.Context) error {
	_, err := d.Control(ctx, "killall -KILL qemu-ga")
	return err
}

// StartAgent undoes StopAgent and KillAgent.
func (d *Domain) StartAgent(ctx context.Context) error {
	_, err := d.Control(ctx, "rm -f /run/agent.off; killall -q -CONT qemu-ga || true")
	return err
}

// Reconnect waits for libvirt's daemon, which was started again, and finds the domain anew.
func (d *Domain) Reconnect() error {
	uuid, err := d.dom.GetUUIDString()
	if err != nil {
		return fmt.Errorf("ask for the domain's UUID: %w", err)
	}
	for end := time.Now().Add(daemonTimeout); ; time.Sleep(100 * time.Millisecond) {
		if err = d.connect(uuid); err == nil || time.Now().After(end) {
			return err
		}
	}
}

func (d *Domain) connect(uuid string) error {
	conn, err := libvirt.NewConnect("qemu:///system")
	if err != nil {
		return fmt.Errorf("connect to libvirt: %w", err)
	}
	dom, err := conn.LookupDomainByUUIDString(uuid)
	if err != nil {
		conn.Close()
		return fmt.Errorf("find the domain again: %w", err)
	}
	// What is left of the old connection is of no use to anybody.
	d.dom.Free()
	d.conn.Close()
	d.conn, d.dom = conn, dom
	return nil
}
