//go:build !lab

package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/methodtest"
)

// maker is a program that makes disks. "PROGRAM make TARGET SIZE" reads the content of a new raw disk and prints its
// source, as the protocol shows it; "PROGRAM remove TARGET" reads the source.
type maker string

func (m maker) newDisk(t methodtest.T, target string, content []byte) methods.Disk {
	t.Helper()
	out, err := m.run(t.Context(), content, "make", target, strconv.Itoa(len(content)))
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if _, err := m.run(context.WithoutCancel(t.Context()), out, "remove", target); err != nil {
			t.Errorf("%v", err)
		}
	})
	disk := methodtest.DiskOfNobody(target)
	if err := json.Unmarshal(out, &disk.Source); err != nil {
		t.Fatalf("read the source of disk %s from %q: %v", target, out, err)
	}
	return disk
}

func (m maker) run(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, string(m), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", cmd, err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}
