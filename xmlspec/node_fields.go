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

// field is one tagged field of a struct that is being filled.
type field struct {
	place    place
	name     string
	required bool
	value    reflect.Value
	set      bool
}

type fields []*field

func fieldsOf(v reflect.Value) fields {
	var all fields
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if tag, ok := f.Tag.Lookup("xml"); ok && tag != "-" && f.IsExported() {
			all = append(all, newField(tag, f.Tag.Get("domsnap") == "required", v.Field(i)))
		}
	}
	return all
}

func newField(tag string, required bool, v reflect.Value) *field {
	words := strings.Split(tag, ",")
	f := &field{place: asElement, name: words[0], required: required, value: v}
	if slices.Contains(words[1:], "attr") {
		f.place = asAttr
	}
	if slices.Contains(words[1:], "chardata") {
		f.place = asText
	}
	return f
}

func (all fields) find(from place, name string) *field {
	for _, f := range all {
		if f.place == from && f.name == name {
			return f
		}
	}
	return nil
}
