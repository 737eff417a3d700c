//go:build lab

package suite

import (
	"strings"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/methodtest"
)

// grow makes a disk twice as big as the suite made it.
func grow(t methodtest.T, disk methods.Disk) {
	t.Helper()
	const size = "8M"
	command := []string{"qemu-img", "resize", "-q", "-f", disk.Format, disk.Source.Path(), size}
	switch {
	case disk.Source.RBD != nil:
		command = []string{"rbd", "resize", "--no-progress", "--size", size, disk.Source.RBD.Pool + "/" + disk.Source.RBD.Image}
	case strings.HasPrefix(disk.Source.Dev, "/dev/vg0/"):
		command = []string{"lvextend", "-q", "-L", size, disk.Source.Dev}
	}
	if _, err := lab.Command(t.Context(), command[0], command[1:]...); err != nil {
		t.Fatalf("grow disk %s: %v", disk.Target, err)
	}
}
