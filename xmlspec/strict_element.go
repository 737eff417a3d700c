package xmlspec

import (
	"bytes"
	"encoding/xml"
	"strings"
)

func (r *reader) start(t xml.StartElement) error {
	if err := r.startsWell(t); err != nil {
		return err
	}
	n := &Node{Name: t.Name.Local, Line: r.line, Column: r.column, parent: r.open}
	if r.open == nil {
		r.root = n
	} else {
		r.open.Children = append(r.open.Children, n)
	}
	r.open = n
	r.depth++
	r.forgetText()
	return r.attributes(t.Attr)
}

// startsWell says whether an element may stand here at all.
func (r *reader) startsWell(t xml.StartElement) error {
	switch {
	case r.open == nil && r.root != nil:
		return r.errorf("a second root element <%.64s>", t.Name.Local)
	case r.foreign(t.Name):
		return r.errorf("namespaces and prefixes are not allowed (element %.64s)", t.Name.Local)
	case r.depth == r.limits.depth:
		return r.errorf("elements nest deeper than %d levels", r.limits.depth)
	case len(t.Name.Local) > maxName:
		return r.errorf("an element's name is longer than %d bytes", maxName)
	case r.textOffset != noText:
		return r.errorAt(r.textOffset, "text and elements are mixed")
	}
	return nil
}

func (r *reader) attributes(attrs []xml.Attr) error {
	if err := r.count(1 + len(attrs)); err != nil {
		return err
	}
	seen := make(map[string]bool, len(attrs))
	for _, a := range attrs {
		name := a.Name.Local
		switch {
		case r.declares(a):
			continue
		case foreign(a.Name):
			return r.errorf("namespaces and prefixes are not allowed (attribute %.64s)", name)
		case seen[name]:
			return r.errorf("attribute %.64s twice", name)
		case len(name) > maxName:
			return r.errorf("an attribute's name is longer than %d bytes", maxName)
		}
		seen[name] = true
		r.open.Attrs = append(r.open.Attrs, Attr{Name: name, Value: a.Value})
	}
	return nil
}

// foreign is the rule for elements, which may be in the namespace of the document.
func (r *reader) foreign(name xml.Name) bool {
	if r.limits.space != "" && name.Space == r.limits.space {
		name.Space = ""
	}
	return foreign(name)
}

// declares says that an attribute only names the namespace of the document.
func (r *reader) declares(a xml.Attr) bool {
	named := a.Name.Space == "xmlns" || a.Name == xml.Name{Local: "xmlns"}
	return named && r.limits.space != "" && a.Value == r.limits.space
}

func foreign(name xml.Name) bool {
	return name.Space != "" || name.Local == "xmlns" || strings.Contains(name.Local, ":")
}

func (r *reader) end() error {
	if len(r.open.Children) == 0 {
		r.open.Text = string(r.text)
	}
	r.open = r.open.parent
	r.depth--
	r.forgetText()
	return nil
}

func (r *reader) forgetText() {
	r.text, r.textOffset = r.text[:0], noText
}

func (r *reader) characters(text xml.CharData) error {
	solid := !blank(string(text))
	if solid && r.textOffset == noText {
		r.textOffset = r.offset + r.leadingBlanks()
	}
	switch {
	case r.open == nil && r.textOffset != noText:
		return r.errorAt(r.textOffset, "text outside the root element")
	case r.open == nil:
		return nil
	case r.textOffset != noText && len(r.open.Children) > 0:
		return r.errorAt(r.textOffset, "text and elements are mixed")
	}
	r.text = append(r.text, text...)
	if solid {
		return r.count(1)
	}
	return nil
}

// leadingBlanks counts the white space that the present token begins with.
func (r *reader) leadingBlanks() int {
	rest := r.data[r.offset:]
	return len(rest) - len(bytes.TrimLeft(rest, blanks))
}
