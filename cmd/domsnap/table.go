package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table prints columns the way virsh does: a heading, a rule, a line a row.
type table struct {
	w    io.Writer
	tabs *tabwriter.Writer
}

func newTable(w io.Writer, columns ...string) *table {
	t := &table{w: w, tabs: tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)}
	t.row(columns...)
	rules := make([]string, len(columns))
	for i, c := range columns {
		rules[i] = strings.Repeat("-", len(c))
	}
	t.row(rules...)
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = oneLine(c)
	}
	fmt.Fprintln(t.tabs, " "+strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

func (t *table) flush() error { return t.tabs.Flush() }

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
