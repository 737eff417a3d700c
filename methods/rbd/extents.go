package rbd

import "iter"

// join merges extents that touch. They are in order.
func join(extents []extent) (joined []extent) {
	for _, e := range extents {
		if last := len(joined) - 1; last >= 0 && joined[last].end() >= e.offset {
			joined[last].length = max(joined[last].end(), e.end()) - joined[last].offset
			continue
		}
		joined = append(joined, e)
	}
	return joined
}

// existing are the extents where the later point in time has something.
func existing(extents []extent) (found []extent) {
	for _, e := range extents {
		if e.exists {
			found = append(found, e)
		}
	}
	return found
}

// without is what is in a and not in b. Both are in order.
func without(a, b []extent) (left []extent) {
	for _, e := range a {
		for len(b) > 0 && b[0].end() <= e.offset {
			b = b[1:]
		}
		at := e.offset
		for _, hole := range b {
			if hole.offset >= e.end() {
				break
			}
			if hole.offset > at {
				left = append(left, extent{at, hole.offset - at, e.exists})
			}
			at = hole.end()
		}
		if at < e.end() {
			left = append(left, extent{at, e.end() - at, e.exists})
		}
	}
	return left
}

// total is the sum of the lengths, none of which counts as less than the floor.
func total(extents []extent, floor int64) (sum int64) {
	for _, e := range extents {
		sum += max(e.length, floor)
	}
	return sum
}

// pieces cuts extents at every multiple of the size.
func pieces(extents []extent, size int64) iter.Seq[extent] {
	return func(yield func(extent) bool) {
		for _, e := range extents {
			for at := e.offset; at < e.end(); {
				end := min(e.end(), (at/size+1)*size)
				if !yield(extent{at, end - at, e.exists}) {
					return
				}
				at = end
			}
		}
	}
}

// runs tells content from zeroes: it cuts data that begins at an offset of the image at every multiple of the
// size, and joins neighbours of the same kind. What exists in a run is content.
func runs(data []byte, offset, size int64) (found []extent) {
	whole := []extent{{offset: offset, length: int64(len(data))}}
	for e := range pieces(whole, size) {
		e.exists = !zero(data[e.offset-offset : e.end()-offset])
		if last := len(found) - 1; last >= 0 && found[last].exists == e.exists {
			found[last].length += e.length
			continue
		}
		found = append(found, e)
	}
	return found
}

func zero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}
