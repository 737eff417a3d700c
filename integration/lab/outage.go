package lab

import "context"

// StopAgent makes the agent hang: it stays connected and answers nothing until StartAgent.
func (d *Domain) StopAgent(ctx context.Context) error {
	_, err := d.Control(ctx, "kill -STOP $(cat /run/qemu-ga.pid)")
	return err
}

// KillAgent ends the agent: libvirt sees it disconnected until StartAgent.
func (d *Domain) KillAgent(ctx context.Context) error {
	_, err := d.Control(ctx, "touch /run/agent.off; kill -KILL $(cat /run/qemu-ga.pid); rm -f /run/qemu-ga.pid")
	return err
}

// StartAgent undoes StopAgent and KillAgent.
func (d *Domain) StartAgent(ctx context.Context) error {
	_, err := d.Control(ctx, "rm -f /run/agent.off; [ ! -e /run/qemu-ga.pid ] || kill -CONT $(cat /run/qemu-ga.pid)")
	return err
}
