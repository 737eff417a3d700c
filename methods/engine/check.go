package engine

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/domsnap/domsnap/methods"
)

// maxSize is more than any disk has, and far from where sums of sizes overflow.
const maxSize = int64(1) << 60

// checkText refuses what cannot be recorded and printed.
func checkText(what, s string, most int) error {
	switch {
	case s == "":
		return fmt.Errorf("%s is missing", what)
	case len(s) > most:
		return fmt.Errorf("%s of %d bytes, more than %d", what, len(s), most)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%s is not printable: %.80q", what, s)
	}
	return nil
}

// checkOptionalText is checkText for what may be empty.
func checkOptionalText(what, s string, most int) error {
	if s == "" {
		return nil
	}
	return checkText(what, s, most)
}

func checkSize(what string, n *int64) error {
	if n == nil {
		return fmt.Errorf("%s is missing", what)
	}
	if *n < 0 || *n > maxSize {
		return fmt.Errorf("%s %d cannot be", what, *n)
	}
	return nil
}

// checkTexts is for a list of names or reasons.
func checkTexts(what string, list []string, most int) error {
	for _, s := range list {
		if err := checkText(what, s, most); err != nil {
			return err
		}
	}
	return nil
}

// checkActive: only an act that moves its disk says where to.
func checkActive(active string, moves bool) error {
	if (active != "") != moves {
		return fmt.Errorf("active %.80q, while moves_source is %t", active, moves)
	}
	return checkOptionalText("active", active, 4096)
}

// toExtents wants them in the disk and ascending; those that touch become one.
func toExtents(pairs [][2]int64, size int64) ([]methods.Extent, error) {
	extents, end := make([]methods.Extent, 0, len(pairs)), int64(0)
	for _, p := range pairs {
		e := methods.Extent{Offset: p[0], Length: p[1]}
		if e.Offset < end || e.Length <= 0 || e.Offset > size || e.Length > size-e.Offset {
			return nil, fmt.Errorf("extent [%d,%d] of a disk of %d bytes, after %d, cannot be", e.Offset, e.Length, size, end)
		}
		if n := len(extents); n > 0 && extents[n-1].End() == e.Offset {
			extents[n-1].Length += e.Length
		} else {
			extents = append(extents, e)
		}
		end = e.End()
	}
	return extents, nil
}

// checkSource wants one <source> element, which others will read.
func checkSource(s methods.BackupSource) error {
	if s.Format != "raw" && s.Format != "qcow2" {
		return fmt.Errorf("format %.80q is neither raw nor qcow2", s.Format)
	}
	if err := checkText("uri", s.URI, 4096); err != nil {
		return err
	}
	if err := checkText("xml", s.XML, 16<<10); err != nil {
		return err
	}
	return checkElement(s.XML, "source")
}

func checkElement(text, root string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	depth, roots := 0, 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && roots == 1 && depth == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read xml %.80q: %w", text, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			if depth == 1 && t.Name.Local != root || roots > 1 {
				return fmt.Errorf("xml %.80q is not one <%s>", text, root)
			}
		case xml.EndElement:
			depth--
		case xml.Directive, xml.ProcInst, xml.Comment:
			return fmt.Errorf("xml %.80q has more than elements", text)
		}
	}
}
