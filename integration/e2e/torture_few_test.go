//go:build lab && !torture

package e2e

import "testing"

// everyPoint: not every point is tried, so that there is time for the other tests.
const everyPoint = false

// hookRounds is how often TestHookBesideOthers goes round.
const hookRounds = 20

// moreOnOwnKernel are none of the few.
var moreOnOwnKernel []func(*testing.T)
