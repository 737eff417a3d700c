//go:build race

package bounds

// slowdown is how much longer everything may take with the race detector at work.
const slowdown = 10
