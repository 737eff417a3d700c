package keep_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator/keep"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestChoose(t *testing.T) {
	points := []string{
		"2024-12-29 23:00", // Sunday, week 52
		"2024-12-30 01:00", // Monday, week 1 of 2025
		"2025-01-31 03:00",
		"2025-02-01 03:00",
		"2025-02-01 03:30",
		"2025-02-01 15:00",
		"2025-02-02 03:00",
		"2025-02-02 03:00", // the same again, younger
	}
	for _, c := range []struct {
		name  string
		rules keep.Rules
		want  []string
	}{
		{"the last", keep.Rules{Last: 2}, []string{"", "", "", "", "", "", "last", "last"}},
		{"hours", keep.Rules{Hourly: 3}, []string{"", "", "", "", "hourly", "hourly", "", "hourly"}},
		{"days without any count nothing", keep.Rules{Daily: 4}, []string{"", "daily", "daily", "", "", "daily", "", "daily"}},
		{"weeks begin on Monday", keep.Rules{Weekly: 3}, []string{"weekly", "weekly", "", "", "", "", "", "weekly"}},
		{"months", keep.Rules{Monthly: 2}, []string{"", "", "monthly", "", "", "", "", "monthly"}},
		{"years, all of them", keep.Rules{Yearly: keep.Unlimited}, []string{"", "yearly", "", "", "", "", "", "yearly"}},
		{"several", keep.Rules{Last: 1, Daily: 2, Monthly: 1}, []string{"", "", "", "", "", "daily", "", "last daily monthly"}},
		{"more than there are", keep.Rules{Last: 99}, []string{"last", "last", "last", "last", "last", "last", "last", "last"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var times []time.Time
			for _, p := range points {
				times = append(times, at(t, p))
			}
			var got []string
			for _, because := range c.rules.Choose(times) {
				got = append(got, strings.Join(because, " "))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHourThatComesTwice: when the clocks go back there are two hours of the same name.
func TestHourThatComesTwice(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here")
	}
	first := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC).In(berlin)
	got := keep.Rules{Hourly: 2}.Choose([]time.Time{first, first.Add(time.Hour)})
	if diff := cmp.Diff([][]string{{"hourly"}, {"hourly"}}, got); diff != "" {
		t.Error(diff)
	}
}

// TestChooseIsWhatCountingWouldGive compares with counting for each point, in any order, how many younger ones there are.
func TestChooseIsWhatCountingWouldGive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 300 {
		points := make([]time.Time, random.IntN(40))
		for i := range points {
			points[i] = start.Add(time.Duration(random.IntN(60*24)) * time.Hour).Add(time.Duration(i) * time.Nanosecond)
		}
		rules := keep.Rules{Last: random.IntN(5), Daily: random.IntN(20)}
		for i, because := range rules.Choose(points) {
			younger, days, bestOfDay := 0, map[string]bool{}, true
			for _, other := range points {
				if !other.After(points[i]) {
					continue
				}
				younger++
				if day := other.Format(time.DateOnly); day == points[i].Format(time.DateOnly) {
					bestOfDay = false
				} else {
					days[day] = true
				}
			}
			want := []string(nil)
			if younger < rules.Last {
				want = append(want, "last")
			}
			if bestOfDay && len(days) < rules.Daily || oldest(points, i) && allDays(points) < rules.Daily {
				want = append(want, "daily")
			}
			if diff := cmp.Diff(want, because); diff != "" {
				t.Fatalf("%v of %v by %+v: %s", points[i], points, rules, diff)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for _, r := range []keep.Rules{{}, {Last: -2}, {Daily: 7, Yearly: -7}} {
		if r.Check() == nil {
			t.Errorf("%+v is taken", r)
		}
	}
	for _, r := range []keep.Rules{{Last: 1}, {Yearly: keep.Unlimited}} {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func oldest(points []time.Time, i int) bool {
	for _, other := range points {
		if other.Before(points[i]) {
			return false
		}
	}
	return true
}

func allDays(points []time.Time) int {
	days := map[string]bool{}
	for _, p := range points {
		days[p.Format(time.DateOnly)] = true
	}
	return len(days)
}

// TestOldestLastsUntilThereAreMore: of a month of nights two stay for the months.
func TestOldestLastsUntilThereAreMore(t *testing.T) {
	points := make([]time.Time, 31)
	for i := range points {
		points[i] = time.Date(2026, 10, 1+i, 3, 0, 0, 0, time.UTC)
	}
	var kept []int
	for i, because := range (keep.Rules{Monthly: 12}).Choose(points) {
		if len(because) > 0 {
			kept = append(kept, i)
		}
	}
	if diff := cmp.Diff([]int{0, 30}, kept); diff != "" {
		t.Error(diff)
	}
}
