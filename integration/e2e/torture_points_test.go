package e2e

import (
	"regexp"
	"slices"
	"strings"
)

var (
	// readers are acts that change nothing, so that to end before one is to end before the next act.
	readers = regexp.MustCompile(`^(before|after) run (lvs|vgs|thin_delta|dmsetup status|qemu-img (info|map))#`)
	// wholes are acts that are made of others, which come right after where there are any.
	wholes = regexp.MustCompile(`^before (prepare|take|keep the present of|revert|drop) `)

	freezesOrPauses = regexp.MustCompile(`^before (agent: guest-fsfreeze-freeze|libvirt: pause)#`)
	thawsOrResumes  = regexp.MustCompile(`^before (agent: guest-fsfreeze-thaw|libvirt: resume)#`)
	pauses          = regexp.MustCompile(`^after libvirt: pause#`)
	resumes         = regexp.MustCompile(`^before libvirt: resume#`)
	powersOff       = regexp.MustCompile(`^before libvirt: power off#`)
	writesJournal   = regexp.MustCompile(`^before write the journal#`)
)

// choose leaves out what shows nothing new: what comes right after an act is what comes right before the next, so that only
// the last point may be behind its act; and of an act that is done again and again it takes the first, one half-way and
// the last. Where not every point is wanted it is each twelfth, and the last.
func choose(all []string, every bool) []string {
	changing := beforeChanges(all)
	counts, seen := map[string]int{}, map[string]int{}
	for _, p := range changing {
		counts[actOf(p)]++
	}
	var chosen []string
	for i, p := range changing {
		act := actOf(p)
		seen[act]++
		often := counts[act]
		some := often <= 3 || slices.Contains([]int{1, often / 2, often}, seen[act])
		if some && (every || i%12 == 5) {
			chosen = append(chosen, p)
		}
	}
	return append(chosen, all[len(all)-1])
}

// beforeChanges are the points right before something changes. An act that others go on beside is one too.
func beforeChanges(all []string) []string {
	var changing []string
	all = slices.DeleteFunc(slices.Clone(all), readers.MatchString)
	for i, p := range all {
		goesOn := i+1 < len(all) && strings.HasPrefix(all[i+1], "before ")
		if strings.HasPrefix(p, "before ") && !(wholes.MatchString(p) && goesOn) {
			changing = append(changing, p)
		}
	}
	return changing
}

// between are the points behind each of one kind, up to the next of another and that one too.
func between(points []string, from, to *regexp.Regexp) []string {
	var inside []string
	isInside := false
	for _, p := range points {
		if isInside {
			inside = append(inside, p)
		}
		isInside = from.MatchString(p) || isInside && !to.MatchString(p)
	}
	return inside
}

// whileHeld are the points right before something changes while the guest is frozen or paused, up to that at which it is
// about to be let go.
func whileHeld(all []string) []string {
	return between(beforeChanges(all), freezesOrPauses, thawsOrResumes)
}

// whileOff are the points behind the power-off of a domain, up to the journal that says what it was for.
func whileOff(all []string) []string { return between(beforeChanges(all), powersOff, writesJournal) }

// halfWayAndLast are two of the points.
func halfWayAndLast(points []string) []string {
	return []string{points[(len(points)-1)/2], points[len(points)-1]}
}

func firstHalfWayAndLast(points []string) []string {
	return slices.Compact(append(points[:1:1], halfWayAndLast(points)...))
}

// without leaves points out.
func without(points, others []string) []string {
	return slices.DeleteFunc(slices.Clone(points), func(p string) bool { return slices.Contains(others, p) })
}

func actOf(point string) string {
	act, _, _ := strings.Cut(point, "#")
	return act
}
