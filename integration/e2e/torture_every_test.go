//go:build lab && torture

package e2e

import (
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

const everyPoint = true

func TestTortureQcowOff(t *testing.T)     { tortureOff(t, two(lab.QcowFile)) }
func TestTortureQcowOn(t *testing.T)      { tortureOn(t, two(lab.QcowFile)) }
func TestTortureRawOff(t *testing.T)      { tortureOff(t, two(lab.RawFile)) }
func TestTortureInternalOff(t *testing.T) { tortureOff(t, two(lab.QcowFile), internal()...) }
func TestTortureInternalOn(t *testing.T)  { tortureOn(t, two(lab.QcowFile), internal()...) }
func TestTortureThickOff(t *testing.T)    { tortureOff(t, two(lab.ThickLV)) }
func TestTortureThickOn(t *testing.T)     { tortureOn(t, two(lab.ThickLV)) }
func TestTortureThinOff(t *testing.T)     { tortureOff(t, two(lab.ThinLV)) }
func TestTortureThinOn(t *testing.T)      { tortureOn(t, two(lab.ThinLV)) }
func TestTortureSubvolumeOff(t *testing.T) {
	tortureOff(t, two(lab.BtrfsSubvol))
}
func TestTortureReflinkOff(t *testing.T) { tortureOff(t, []lab.Kind{lab.BtrfsFile, lab.XFSFile}) }
func TestTortureReflinkOn(t *testing.T)  { tortureOn(t, []lab.Kind{lab.BtrfsFile, lab.XFSFile}) }
func TestTortureRBDOff(t *testing.T)     { tortureOff(t, two(lab.RBD)) }
func TestTortureRBDOn(t *testing.T)      { tortureOn(t, two(lab.RBD)) }
func TestTortureCopyOff(t *testing.T) {
	tortureOff(t, two(lab.NBD), "--diskspec", "vda,method=copy", "--diskspec", "vdb,method=copy")
}
func TestTortureCopyOn(t *testing.T) {
	tortureOn(t, two(lab.NBD), "--diskspec", "vda,method=copy", "--diskspec", "vdb,method=copy")
}

// two disks of a kind: what a method does for each of them, and what for both at once.
func two(k lab.Kind) []lab.Kind { return []lab.Kind{k, k} }

func internal() []string {
	return []string{"--diskspec", "vda,method=qemu,mode=internal", "--diskspec", "vdb,method=qemu,mode=internal"}
}
