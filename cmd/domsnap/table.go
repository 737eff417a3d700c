package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	// tableWidth is what a table fits in, as far as its words do.
	tableWidth = 80
	// columnGap is between columns; noteIndent is before what is said below a row.
	columnGap  = 3
	noteIndent = "     "
	// wrapLeast: what has less room than this is not wrapped, since it would be a word a line.
	wrapLeast = 20
)

// table prints columns the way virsh does: a heading, a rule, a line a row. A last column that is too wide goes on in the next
// line.
type table struct {
	w     io.Writer
	lines []tableLine
}

// tableLine is a row, or a note on the row above it.
type tableLine struct {
	cells []string
	note  string
}

func newTable(w io.Writer, columns ...string) *table {
	t := &table{w: w}
	t.row(columns...)
	rules := make([]string, len(columns))
	for i, c := range columns {
		rules[i] = strings.Repeat("-", len(c))
	}
	t.row(rules...)
	return t
}

func (t *table) row(cells ...string) {
	line := tableLine{cells: make([]string, len(cells))}
	for i, c := range cells {
		line.cells[i] = oneLine(c)
	}
	t.lines = append(t.lines, line)
}

// note says something about the last row.
func (t *table) note(text string) {
	t.lines = append(t.lines, tableLine{note: oneLine(text)})
}

func (t *table) flush() error {
	starts := t.starts()
	for _, line := range t.lines {
		text := noteIndent + strings.Join(wrap(line.note, tableWidth-len(noteIndent)), "\n"+noteIndent)
		if line.cells != nil {
			text = rowText(line.cells, starts)
		}
		if _, err := fmt.Fprintln(t.w, text); err != nil {
			return err
		}
	}
	return nil
}

// starts are where the columns begin.
func (t *table) starts() []int {
	starts := make([]int, len(t.lines[0].cells))
	for i := range starts {
		if i == 0 {
			starts[i] = 1
			continue
		}
		widest := 0
		for _, line := range t.lines {
			if line.cells != nil {
				widest = max(widest, utf8.RuneCountInString(line.cells[i-1]))
			}
		}
		starts[i] = starts[i-1] + widest + columnGap
	}
	return starts
}

func rowText(cells []string, starts []int) string {
	var b strings.Builder
	at, last := 0, len(cells)-1
	for i, c := range cells[:last] {
		b.WriteString(strings.Repeat(" ", starts[i]-at) + c)
		at = starts[i] + utf8.RuneCountInString(c)
	}
	b.WriteString(strings.Repeat(" ", starts[last]-at))
	below := "\n" + strings.Repeat(" ", starts[last])
	b.WriteString(strings.Join(wrap(cells[last], tableWidth-starts[last]), below))
	return strings.TrimRight(b.String(), " ")
}

// wrap breaks a text between words so that its lines fit. A word that is wider stays whole.
func wrap(text string, width int) []string {
	if width < wrapLeast || utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	return append(lines, line)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func deref(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
