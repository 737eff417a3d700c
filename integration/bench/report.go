package main

import (
	"fmt"
	"slices"
	"time"
)

// series is one figure, measured several times.
type series []time.Duration

func (s series) median() time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[len(sorted)/2]
}

func (s series) String() string {
	return fmt.Sprintf("median %d ms (%d to %d, n=%d)", s.median().Milliseconds(),
		slices.Min(s).Milliseconds(), slices.Max(s).Milliseconds(), len(s))
}

// compare prints two series and their ratio.
func compare(title string, ours, theirs series, instead string) {
	fmt.Printf("%s\n  domsnap    %s\n  %-10s %s\n  ratio      %.2f\n\n",
		title, ours, instead, theirs, float64(ours.median())/float64(theirs.median()))
}
