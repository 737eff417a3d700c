//go:build lab

package e2e

import (
	"os"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestMain names the tests that are about logical volumes or systemd; moreOnOwnKernel are about the clock, the power or AppArmor too.
func TestMain(m *testing.M) {
	own := []func(*testing.T){
		TestMixedDomain, TestFaults, TestAdopt, TestCheckFindsWhatWentBehindOurBack, TestDeleteFindsWhatIsInItsWay,
		TestKilledServiceLetsTheGuestGo, TestRevertIsAServiceOfItsOwn,
	}
	os.Exit(lab.Main(m, slices.Concat(own, moreOnOwnKernel)...))
}
