package lab

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// OwnKernel tells whether this lab has a kernel of its own, and with it logical volumes, a clock to set, a power to lose,
// AppArmor, and system calls that are slow. The other labs are on the machine's kernel.
func OwnKernel() bool { return os.Getenv("DOMSNAP_LAB") == "own" }

// Main is for TestMain of packages with tests that can run in any lab, beside those named here, which need a kernel of its own.
// Where the variable DOMSNAP_LAB_LIST is set it lists these and runs nothing. All tests of other packages need one.
func Main(m *testing.M, needOwnKernel ...func(*testing.T)) int {
	if os.Getenv("DOMSNAP_LAB_LIST") == "" {
		return m.Run()
	}
	for _, test := range needOwnKernel {
		name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
		fmt.Println(name[strings.LastIndexByte(name, '.')+1:])
	}
	return 0
}

// Have are the kinds where this lab has them. In place of logical volumes, where there are none, it has files on file systems
// that share extents: storages below QEMU that take snapshots by themselves too.
func Have(kinds ...Kind) []Kind {
	if OwnKernel() {
		return kinds
	}
	have := slices.Clone(kinds)
	for i, k := range have {
		switch k {
		case ThickLV:
			have[i] = XFSFile
		case ThinLV:
			have[i] = BtrfsFile
		}
	}
	return have
}
