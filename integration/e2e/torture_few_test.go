//go:build lab && !torture

package e2e

import "testing"

// everyPoint: not every point is tried, so that there is time for the other tests.
const everyPoint = false

// moreOnOwnKernel are none of these tests.
var moreOnOwnKernel []func(*testing.T)
