package xmlspec

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// lineageOf puts elements into a lineage, with a layout of one disk.
func lineageOf(elements string) string {
	return `<lineage xmlns="` + LineageNamespace + `" current="sone"><layout n="1" level="crash"><disk target="vda" method="m" name="{id}" size="1"/></layout>` +
		elements + `</lineage>`
}

const one = `<s id="sone" name="one" time="1" layout="1"/>`

func TestLineageIsReadStrictly(t *testing.T) {
	if _, err := ParseLineage(lineageOf(one)); err != nil {
		t.Fatalf("the example itself: %v", err)
	}
	twice := strings.Repeat(`<disk target="vda" method="m" name="x" size="1"/>`, 2)
	for name, c := range map[string]struct{ doc, want string }{
		"a document type":       {`<!DOCTYPE x>` + lineageOf(one), "DOCTYPE"},
		"an entity":             {lineageOf(`<s id="&x;" name="one" time="1" layout="1"/>`), "entity"},
		"a second root":         {lineageOf(one) + "<x/>", "second root"},
		"another root":          {"<x/>", "root element"},
		"text":                  {lineageOf(one + "text"), "text"},
		"an instruction":        {lineageOf(one + "<?x y?>"), "instruction"},
		"another namespace":     {`<lineage xmlns="urn:x"/>`, "namespace"},
		"an element of another": {lineageOf(one + `<x:y xmlns:x="urn:x"/>`), "namespace"},
		"an unknown element":    {lineageOf(one + "<x/>"), "unknown element"},
		"an unknown attribute":  {lineageOf(`<s id="sone" name="one" time="1" layout="1" x="1"/>`), "unknown attribute"},
		"an attribute twice":    {lineageOf(`<s id="sone" id="sone" name="one" time="1" layout="1"/>`), "twice"},
		"a number that is none": {lineageOf(`<s id="sone" name="one" time="x" layout="1"/>`), "whole number"},
		"an id that is a path":  {lineageOf(`<s id="../x" name="one" time="1" layout="1"/>`), "not the id"},
		"an id twice":           {lineageOf(one + `<s id="sone" name="two" time="1" layout="1"/>`), "there twice"},
		"a name twice":          {lineageOf(one + `<s id="stwo" name="one" time="1" layout="1"/>`), "have the name"},
		"its own parent":        {lineageOf(`<s id="sone" name="one" parent="sone" time="1" layout="1"/>`), "not before it"},
		"parents in a circle": {lineageOf(`<s id="sone" name="one" parent="stwo" time="1" layout="1"/>` +
			`<s id="stwo" name="two" parent="sone" time="1" layout="1"/>`), "not before it"},
		"a parent that is gone":  {lineageOf(`<s id="sone" name="one" parent="snone" time="1" layout="1"/>`), "not before it"},
		"a present without one":  {lineageOf(`<s id="stwo" name="one" time="1" layout="1"/>`), "not there"},
		"a target that is a way": {`<lineage><layout n="1" level="x"><disk target="../x" method="m" name="x" size="1"/></layout></lineage>`, "not a disk's target"},
		"a method that is a way": {`<lineage><layout n="1" level="x"><disk target="vda" method="../x" name="x" size="1"/></layout></lineage>`, "not a method's name"},
		"a disk twice":           {`<lineage><layout n="1" level="x">` + twice + `</layout></lineage>`, "there twice"},
		"a layout twice":         {`<lineage><layout n="1" level="x"/><layout n="1" level="y"/></lineage>`, "there twice"},
		"too deep":               {strings.Repeat("<lineage>", 1000), "deeper than"},
		"too large":              {lineageOf(one + strings.Repeat(" ", MaxBytes)), "larger than"},
		"a bomb":                 {bomb(), "more than"},
		"a stray of no disk":     {lineageOf(one + `<strayed target="/" id="sone"/>`), "not a disk's target"},
	} {
		start := time.Now()
		_, err := ParseLineage(c.doc)
		if err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) || len(err.Error()) > 500 {
			t.Errorf("%s: %.300v, want %s", name, err, c.want)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
	}
}

// bomb is a small document of very many records.
func bomb() string {
	var b strings.Builder
	b.WriteString(`<lineage><layout n="1" level="x">`)
	for i := range 5000 {
		fmt.Fprintf(&b, `<disk target="vd%d" method="m" name="{id}{id}" size="1"/>`, i)
	}
	b.WriteString(`</layout>`)
	for i := range 5000 {
		fmt.Fprintf(&b, `<s id="s%d" name="%d" time="1" layout="1"/>`, i, i)
	}
	return b.String() + `</lineage>`
}

func TestLineageThatNobodyCouldReadIsNotWritten(t *testing.T) {
	l := &Lineage{Snapshots: []LineageSnapshot{{ID: "sone", Name: "one", Description: strings.Repeat("x", MaxBytes)}}}
	if _, err := l.Marshal(); err == nil {
		t.Error("it was written")
	}
}

// TestNoReaderExpandsOrNests: what is read of a domain comes from libvirt, which may say more than is known here, and yet
// has no entities and no end of levels.
func TestNoReaderExpandsOrNests(t *testing.T) {
	readers := map[string]func(string) error{
		"descriptor": func(s string) error { _, err := ParseDescriptor([]byte(s)); return err },
		"spec":       func(s string) error { _, err := ParseMethodSpec([]byte(s)); return err },
		"lineage":    func(s string) error { _, err := ParseLineage(s); return err },
		"domain":     func(s string) error { _, err := ParseDomain(s); return err },
	}
	laughs := `<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><domain><name>&b;</name></domain>`
	for name, doc := range map[string]string{
		"entities":  laughs,
		"a file":    `<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><domain><name>&a;</name></domain>`,
		"no end":    strings.Repeat("<domain>", 1<<17),
		"devices":   "<domain><devices>" + strings.Repeat("<disk><backingStore>", 1<<16),
		"attribute": "<domain " + strings.Repeat("a='", 1<<17),
	} {
		for reader, read := range readers {
			start := time.Now()
			if err := read(doc); err == nil {
				t.Errorf("%s: the reader of a %s takes it", name, reader)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%s: the reader of a %s took %v", name, reader, took)
			}
		}
	}
}
