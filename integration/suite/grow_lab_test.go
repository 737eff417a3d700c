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
	for _, command := range growing(disk, "8M") {
		if _, err := lab.Command(t.Context(), command[0], command[1:]...); err != nil {
			t.Fatalf("grow disk %s: %v", disk.Target, err)
		}
	}
}

// growing are the commands. A thick volume with snapshots grows only while it is inactive.
func growing(disk methods.Disk, size string) [][]string {
	switch s := disk.Source; {
	case s.RBD != nil:
		return [][]string{{"rbd", "resize", "--no-progress", "--size", size, s.RBD.Pool + "/" + s.RBD.Image}}
	case strings.HasPrefix(s.Dev, "/dev/vg0/"):
		return [][]string{{"lvchange", "-an", s.Dev}, {"lvextend", "-q", "-L", size, s.Dev}, {"lvchange", "-ay", s.Dev}}
	default:
		return [][]string{{"qemu-img", "resize", "-q", "-f", disk.Format, s.Path(), size}}
	}
}
