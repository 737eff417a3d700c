package xmlspec

import (
	"reflect"
	"slices"
	"strings"
)

// place is where a struct's field gets its value from.
type place int

const (
	asElement place = iota
	asAttr
	asText
)

// spec is what a tag says of a struct's field.
type spec struct {
	place    place
	name     string
	required bool
	index    int
}

// specs are those of one struct type.
type specs []spec

func specsOf(t reflect.Type) specs {
	var all specs
	for i := range t.NumField() {
		f := t.Field(i)
		if tag, ok := f.Tag.Lookup("xml"); ok && tag != "-" && f.IsExported() {
			all = append(all, newSpec(tag, f.Tag.Get("domsnap") == "required", i))
		}
	}
	return all
}

func newSpec(tag string, required bool, index int) spec {
	words := strings.Split(tag, ",")
	s := spec{place: asElement, name: words[0], required: required, index: index}
	if slices.Contains(words[1:], "attr") {
		s.place = asAttr
	}
	if slices.Contains(words[1:], "chardata") {
		s.place = asText
	}
	return s
}

// field is one tagged field of a struct that is being filled.
type field struct {
	spec
	value reflect.Value
	set   bool
	// items are the specs of a slice's structs, once there is one: there may be thousands.
	items specs
}

type fields []field

func (all specs) of(v reflect.Value) fields {
	bound := make(fields, len(all))
	for n, s := range all {
		bound[n] = field{spec: s, value: v.Field(s.index)}
	}
	return bound
}

func (all fields) find(from place, name string) *field {
	for n := range all {
		if f := &all[n]; f.place == from && f.name == name {
			return f
		}
	}
	return nil
}
