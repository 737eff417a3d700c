package lab

import "context"

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

// StartAgent undoes StopAgent and KillAgent.
func (d *Domain) StartAgent(ctx context.Context) error {
	_, err := d.Control(ctx, "rm -f /run/agent.off; killall -q -CONT qemu-ga || true")
	return err
}
