package main

import (
	"encoding/xml"
	"strings"
	"testing"
)

// drawn is the picture read back.
type drawn struct {
	Texts []struct {
		Class string `xml:"class,attr"`
		Text  string `xml:",chardata"`
	} `xml:"text"`
}

func TestPictureHasWhatWasPrinted(t *testing.T) {
	var out strings.Builder
	printed := "booting\n\n# A <guest> & its disks.\n$ domsnap disks web1\n vda   \x1b[31mqemu   \"x\"\n\n" + strings.Repeat("y", 2*columns) + "\n# " + strings.Repeat("word ", columns/5) + "last\n"
	if err := run(strings.NewReader(printed), &out); err != nil {
		t.Fatal(err)
	}
	var got drawn
	if err := xml.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	want := []struct{ class, text string }{
		{"comment", "# A <guest> & its disks."}, {"command", "$ domsnap disks web1"}, {"output", ` vda   [31mqemu   "x"`},
		{"output", strings.Repeat("y", columns)}, {"output", "  " + strings.Repeat("y", columns-2)}, {"output", "  yy"},
		{"comment", "# " + strings.TrimSpace(strings.Repeat("word ", columns/5))}, {"comment", "  last"},
	}
	if len(got.Texts) != len(want) {
		t.Fatalf("drawn is %+v", got.Texts)
	}
	for i, w := range want {
		if g := got.Texts[i]; g.Class != w.class || g.Text != w.text {
			t.Errorf("drawn is %+v, want %+v", g, w)
		}
	}
}

func TestNothingPrintedIsAnEmptyPicture(t *testing.T) {
	var out strings.Builder
	if err := run(strings.NewReader(""), &out); err != nil || !strings.HasSuffix(out.String(), "</svg>\n") {
		t.Errorf("%v: %s", err, out.String())
	}
}
