package bounds

import (
	"bytes"
	"slices"
)

// Worst is the size of the documents that tests make to cost as much as they can. Parsers read no more, or say why.
const Worst = 1 << 20

// Stretch repeats a piece between a beginning and an end, to a document of Worst bytes or a little less.
func Stretch(head, piece, tail string) []byte {
	n := (Worst - len(head) - len(tail)) / len(piece)
	return slices.Concat([]byte(head), bytes.Repeat([]byte(piece), n), []byte(tail))
}

// Nest puts a piece into itself, as deep as goes into a document of Worst bytes.
func Nest(opening, closing string) []byte {
	n := Worst / (len(opening) + len(closing))
	return append(bytes.Repeat([]byte(opening), n), bytes.Repeat([]byte(closing), n)...)
}
