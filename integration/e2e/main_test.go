//go:build lab

package e2e

import (
	"os"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestMain names the tests that are about logical volumes, the clock, the power, systemd or AppArmor.
func TestMain(m *testing.M) {
	own := []func(*testing.T){
		TestMixedDomain, TestFaults, TestAdopt, TestCheckFindsWhatWentBehindOurBack, TestDeleteFindsWhatIsInItsWay,
		TestTorturePowerLossOff, TestConfinedGuest, TestKilledServiceLetsTheGuestGo, TestRevertIsAServiceOfItsOwn,
	}
	os.Exit(lab.Main(m, slices.Concat(own, moreOnOwnKernel)...))
}
