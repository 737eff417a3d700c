//go:build !race

package bounds

const slowdown = 1
