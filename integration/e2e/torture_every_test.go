//go:build lab && torture

package e2e

import (
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

const everyPoint = true

// What the mixed domain does not show: the other methods, and those that take several disks in one transaction.

func TestTortureOthersOff(t *testing.T) { tortureOff(t, otherKinds(), internal("vda")...) }
func TestTortureOthersOn(t *testing.T)  { tortureOn(t, otherKinds(), internal("vda")...) }
func TestTortureQcowOff(t *testing.T)   { tortureOff(t, two(lab.QcowFile)) }
func TestTortureQcowOn(t *testing.T)    { tortureOn(t, two(lab.QcowFile)) }
func TestTortureInternalOff(t *testing.T) {
	tortureOff(t, two(lab.QcowFile), internal("vda", "vdb")...)
}
func TestTortureInternalOn(t *testing.T) { tortureOn(t, two(lab.QcowFile), internal("vda", "vdb")...) }

func otherKinds() []lab.Kind {
	return []lab.Kind{lab.QcowFile, lab.RawFile, lab.BtrfsFile, lab.XFSFile, lab.NBD}
}

func two(k lab.Kind) []lab.Kind { return []lab.Kind{k, k} }

func internal(targets ...string) []string {
	var options []string
	for _, target := range targets {
		options = append(options, "--diskspec", target+",method=qemu,mode=internal")
	}
	return options
}
