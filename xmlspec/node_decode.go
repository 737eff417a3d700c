package xmlspec

import (
	"fmt"
	"reflect"
)

// Decode fills the struct that into points to, by the xml tags of its exported fields: `xml:"name"` is an
// element, `xml:"name,attr"` an attribute, `xml:",chardata"` the text. A field is a string, a bool (yes, no,
// true, false), a whole number, an encoding.TextUnmarshaler, a struct, a *Node that keeps the element as it
// stands, a pointer to one of these where it matters whether it was there, or a slice for an element that
// may come more than once. The tag `domsnap:"required"` is for what must be there.
//
// An attribute, element or text the struct has no field for, an element twice, a missing one, and a value
// that is none of its field's are a *SyntaxError.
func (n *Node) Decode(into any) error {
	return n.decode(into, "")
}

// decode leaves out the ignored attribute.
func (n *Node) decode(into any, ignored string) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("decode <%s> into %T: want a pointer to a struct", n.Name, into)
	}
	return n.decodeFields(specsOf(v.Elem().Type()).of(v.Elem()), ignored)
}

func (n *Node) decodeFields(fields fields, ignored string) error {
	if err := n.decodeAttrs(fields, ignored); err != nil {
		return err
	}
	for _, child := range n.Children {
		f := fields.find(asElement, child.Name)
		if f == nil {
			return n.childErrorf(child, "unknown element <%s>", child.Name)
		}
		if err := n.decodeChild(child, f); err != nil {
			return err
		}
	}
	if err := n.decodeText(fields); err != nil {
		return err
	}
	return n.missing(fields)
}

func (n *Node) decodeAttrs(fields fields, ignored string) error {
	for _, a := range n.Attrs {
		if a.Name == ignored {
			continue
		}
		f := fields.find(asAttr, a.Name)
		if f == nil {
			return n.Errorf("unknown attribute %s", a.Name)
		}
		if err := setText(f.value, a.Value); err != nil {
			return n.Errorf("attribute %s: %v", a.Name, err)
		}
		f.set = true
	}
	return nil
}

func (n *Node) decodeChild(child *Node, f *field) error {
	if f.value.Kind() == reflect.Slice {
		if err := child.decodeItem(f); err != nil {
			return err
		}
	} else if f.set {
		return n.childErrorf(child, "element <%s> twice", child.Name)
	} else if err := child.decodeValue(f.value); err != nil {
		return err
	}
	f.set = true
	return nil
}

// decodeItem appends to a slice.
func (n *Node) decodeItem(f *field) error {
	item := reflect.New(f.value.Type().Elem()).Elem()
	if isPlainStruct(item) && f.items == nil {
		f.items = specsOf(item.Type())
	}
	var err error
	if f.items != nil {
		err = n.decodeFields(f.items.of(item), "")
	} else {
		err = n.decodeValue(item)
	}
	if err == nil {
		f.value.Set(reflect.Append(f.value, item))
	}
	return err
}

// isPlainStruct says that a value is filled field by field.
func isPlainStruct(v reflect.Value) bool {
	_, ok := textUnmarshaler(v)
	return !ok && v.Kind() == reflect.Struct
}

func (n *Node) decodeText(fields fields) error {
	if f := fields.find(asText, ""); f != nil && len(n.Children) == 0 {
		if err := setText(f.value, n.Text); err != nil {
			return n.Errorf("%v", err)
		}
		f.set = true
	} else if !blank(n.Text) {
		return n.Errorf("text is not allowed here")
	}
	return nil
}

func (n *Node) missing(fields fields) error {
	for _, f := range fields {
		switch {
		case f.set || !f.required:
		case f.place == asAttr:
			return n.Errorf("attribute %s is missing", f.name)
		default:
			return n.Errorf("element <%s> is missing", f.name)
		}
	}
	return nil
}

// decodeValue fills one field, or one item of a slice, from a whole element.
func (n *Node) decodeValue(v reflect.Value) error {
	if v.Type() == reflect.TypeFor[*Node]() {
		v.Set(reflect.ValueOf(n))
		return nil
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return n.decodeValue(v.Elem())
	}
	if isPlainStruct(v) {
		return n.decodeFields(specsOf(v.Type()).of(v), "")
	}
	return n.decodeScalar(v)
}

func (n *Node) decodeScalar(v reflect.Value) error {
	if len(n.Attrs) > 0 {
		return n.Errorf("unknown attribute %s", n.Attrs[0].Name)
	}
	if len(n.Children) > 0 {
		return n.childErrorf(n.Children[0], "unknown element <%s>", n.Children[0].Name)
	}
	if err := setText(v, n.Text); err != nil {
		return n.Errorf("%v", err)
	}
	return nil
}
