package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"libvirt.org/go/libvirt"
)

const (
	pollInterval = 20 * time.Millisecond
	agentSeconds = 20
)

// agent sends one command to the guest agent and decodes what it returns into reply, unless that is nil.
func (d *Domain) agent(command string, arguments, reply any) error {
	request, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if err != nil {
		return fmt.Errorf("write agent command %s: %w", command, err)
	}
	text, err := d.dom.QemuAgentCommand(string(request), libvirt.DomainQemuAgentCommandTimeout(agentSeconds), 0)
	if err != nil {
		return fmt.Errorf("ask agent %s: %w", command, err)
	}
	if reply == nil {
		return nil
	}
	return json.Unmarshal([]byte(text), &struct {
		Return any `json:"return"`
	}{reply})
}

// WaitAgent waits until the agent answers.
func (d *Domain) WaitAgent(timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		_, err := d.dom.QemuAgentCommand(`{"execute":"guest-ping"}`, 1, 0)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for agent %v: %w", timeout, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// execStatus is the agent's guest-exec-status.
type execStatus struct {
	Exited   bool   `json:"exited"`
	ExitCode int    `json:"exitcode"`
	Signal   int    `json:"signal"`
	Out      []byte `json:"out-data"`
	Err      []byte `json:"err-data"`
}

// Exec runs a shell script in the guest by the agent and returns its standard output. A script that fails is an
// error with its standard error.
func (d *Domain) Exec(ctx context.Context, script string) (string, error) {
	return d.execInput(ctx, script, nil)
}

func (d *Domain) execInput(ctx context.Context, script string, input []byte) (string, error) {
	arguments := map[string]any{"path": "/bin/sh", "arg": []string{"-c", script}, "capture-output": true}
	if input != nil {
		arguments["input-data"] = input
	}
	var started struct {
		PID int `json:"pid"`
	}
	if err := d.agent("guest-exec", arguments, &started); err != nil {
		return "", err
	}
	status, err := d.waitExec(ctx, started.PID)
	if err != nil {
		return "", err
	}
	if status.ExitCode != 0 || status.Signal != 0 {
		return string(status.Out), fmt.Errorf("run %q in guest: exit code %d, signal %d: %s",
			script, status.ExitCode, status.Signal, strings.TrimSpace(string(status.Err)))
	}
	return string(status.Out), nil
}

func (d *Domain) waitExec(ctx context.Context, pid int) (execStatus, error) {
	for {
		var status execStatus
		err := d.agent("guest-exec-status", map[string]int{"pid": pid}, &status)
		if err != nil || status.Exited {
			return status, err
		}
		select {
		case <-ctx.Done():
			return status, fmt.Errorf("wait for process %d in guest: %w", pid, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}
