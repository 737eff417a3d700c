//go:build lab && !torture

package e2e

// everyPoint: not every point is tried, so that there is time for the other tests.
const everyPoint = false
