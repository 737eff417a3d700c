// Package keep decides which of many points in time are kept, by the rules that restic has: restic-forget(1).
package keep

import (
	"fmt"
	"slices"
	"time"
)

// Unlimited as a count keeps whatever the rule finds.
const Unlimited = -1

// Rules say how many are kept of each kind. A point may be kept by several rules, and counts for each of them.
type Rules struct {
	// Last are the youngest.
	Last int
	// The others keep the youngest of each hour, day, ISO week, month and year, of so many of those in which there is one; and
	// the oldest of all, where there are fewer.
	Hourly, Daily, Weekly, Monthly, Yearly int
}

// rule keeps the youngest point of each period.
type rule struct {
	name  string
	count int
	// period is the same for two points in time when they are in the same one.
	period func(time.Time) string
}

// Check fails when the rules keep nothing, or make no sense.
func (r Rules) Check() error {
	some := false
	for _, rule := range r.all() {
		if rule.count < Unlimited {
			return fmt.Errorf("keep %d %s: want 0 or more, or %d for all", rule.count, rule.name, Unlimited)
		}
		some = some || rule.count != 0
	}
	if !some {
		return fmt.Errorf("keep nothing at all: say what is to be kept")
	}
	return nil
}

func (r Rules) all() []rule {
	layout := func(of string) func(time.Time) string {
		return func(t time.Time) string { return t.Format(of) }
	}
	return []rule{
		{"last", r.Last, nil},
		{"hourly", r.Hourly, layout("2006-01-02 15 -0700")},
		{"daily", r.Daily, layout("2006-01-02")},
		{"weekly", r.Weekly, func(t time.Time) string {
			year, week := t.ISOWeek()
			return fmt.Sprintf("%d week %d", year, week)
		}},
		{"monthly", r.Monthly, layout("2006-01")},
		{"yearly", r.Yearly, layout("2006")},
	}
}

// Choose gives for each of the points, which may be in any order, the names of the rules that keep it: none for one that
// goes. Hours and days are those of the points' own location. Of two points of the same time the later one is the younger.
func (r Rules) Choose(points []time.Time) [][]string {
	youngest := make([]int, len(points))
	for i := range points {
		youngest[i] = len(points) - 1 - i
	}
	slices.SortStableFunc(youngest, func(a, b int) int { return points[b].Compare(points[a]) })
	because := make([][]string, len(points))
	for _, rule := range r.all() {
		for _, i := range rule.keeps(points, youngest) {
			because[i] = append(because[i], rule.name)
		}
	}
	return because
}

// keeps goes through the points, the youngest first. While there are too few for the rule it keeps the oldest too, which has
// to last until there are more.
func (r rule) keeps(points []time.Time, youngest []int) []int {
	var kept []int
	last := ""
	for _, i := range youngest {
		if len(kept) == r.count {
			break
		}
		if r.period != nil {
			period := r.period(points[i])
			if period == last {
				continue
			}
			last = period
		}
		kept = append(kept, i)
	}
	if oldest := len(youngest) - 1; r.period != nil && oldest >= 0 && len(kept) < r.count && !slices.Contains(kept, youngest[oldest]) {
		kept = append(kept, youngest[oldest])
	}
	return kept
}
