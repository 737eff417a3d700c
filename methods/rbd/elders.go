package rbd

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Fast-diff says quickly which objects differ between a snapshot and the present, and is wrong in one case: after the
// image was rolled back to an older snapshot it has that one's object map, in which objects look unchanged that
// are not what the younger snapshot has. Those objects changed between the older snapshot and the younger one, so they
// are among what fast-diff says of those two. Together the two lists are never wrong, if every snapshot is still there
// that was older when the younger one was taken: no other is older, so the image was rolled back to none. So the elders
// are put down with each snapshot, in the image's metadata.

// none is the note of a snapshot that was the first.
const none = "none"

func eldersKey(snap string) string { return "domsnap.elders." + snap }

// noteElders puts down which snapshots are older, if none of those seen before the take has gone meanwhile.
func (s *session) noteElders(before description) error {
	now, err := s.describeAnew()
	if err != nil {
		return fmt.Errorf("look at image %s: %w", s.place.RBDImage, err)
	}
	id := now.id(s.place.snap)
	elders := slices.DeleteFunc(slices.Clone(now.ids), func(other uint64) bool { return other >= id })
	if id == 0 || !containsAll(elders, before.ids) {
		return nil
	}
	return s.writer.note(eldersKey(s.place.snap), formatIDs(elders))
}

// describeAnew opens the image once more: a reader, which nobody notices, is not told either of what has changed since.
func (s *session) describeAnew() (now description, err error) {
	r, err := s.cluster.read(s.place.Image)
	if err != nil {
		return now, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	return r.describe()
}

// eldest is the name of the first of the elders, empty for none. It is not known where an elder has gone, nobody put
// the elders down, or the first is not a user's snapshot.
func eldest(image reader, p place, now description) (name string, known bool, err error) {
	text, err := image.noted(eldersKey(p.snap))
	if err != nil || text == "" {
		return "", false, err
	}
	elders, ok := parseIDs(text)
	if !ok || !containsAll(now.ids, elders) {
		return "", false, nil
	}
	if len(elders) == 0 {
		return "", true, nil
	}
	first := slices.Min(elders)
	for _, s := range now.snaps {
		if s.id == first {
			return s.name, true, nil
		}
	}
	return "", false, nil
}

func containsAll(all, some []uint64) bool {
	return !slices.ContainsFunc(some, func(id uint64) bool { return !slices.Contains(all, id) })
}

func formatIDs(ids []uint64) string {
	if len(ids) == 0 {
		return none
	}
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatUint(id, 10)
	}
	return strings.Join(words, " ")
}

func parseIDs(text string) (ids []uint64, ok bool) {
	if text == none {
		return nil, true
	}
	for _, word := range strings.Fields(text) {
		id, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, len(ids) > 0
}
