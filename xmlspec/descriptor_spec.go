package xmlspec

import "encoding/json"

// MethodSpec is a <diskSnapshot> element.
type MethodSpec struct {
	// Name is the method; empty for options of the default method.
	Name string
	// Node is the whole element.
	Node *Node
}

const (
	specElement     = "diskSnapshot"
	methodAttribute = "method"
	modeAttribute   = "mode"
)

// ParseMethodSpec reads a document that is a <diskSnapshot> element.
func ParseMethodSpec(data []byte) (*MethodSpec, error) {
	n, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if n.Name != specElement {
		return nil, n.Errorf("the root element is not <%s>", specElement)
	}
	return readSpec(n)
}

// readSpec leaves the body to the method.
func readSpec(n *Node) (*MethodSpec, error) {
	name, given := n.Attr(methodAttribute)
	if !given {
		return &MethodSpec{Node: n}, nil
	}
	if err := checkMethod(name); err != nil {
		return nil, n.Errorf("attribute %s: %v", methodAttribute, err)
	}
	return &MethodSpec{Name: name, Node: n}, nil
}

// Decode fills a method's own struct from the body, as Node.Decode does; the attribute method is not part of
// it. No spec at all fills nothing.
func (s *MethodSpec) Decode(into any) error {
	if s == nil || s.Node == nil {
		return nil
	}
	return s.Node.decode(into, methodAttribute)
}

// Mode is the attribute of that name, which tells methods of one name apart; empty when there is none.
func (s *MethodSpec) Mode() string {
	if s == nil || s.Node == nil {
		return ""
	}
	mode, _ := s.Node.Attr(modeAttribute)
	return mode
}

// specJSON is an element for those who do not read XML.
type specJSON struct {
	Name       string            `json:"name,omitempty"`
	Attributes map[string]string `json:"attributes"`
	Text       string            `json:"text"`
	Children   []specJSON        `json:"children"`
}

// MarshalJSON writes the body: {"attributes":{…},"text":"…","children":[{"name":"…",…}]}. The attribute method is not
// part of it.
func (s *MethodSpec) MarshalJSON() ([]byte, error) {
	body := s.element().json()
	body.Name = ""
	delete(body.Attributes, methodAttribute)
	return json.Marshal(body)
}

func (n *Node) json() specJSON {
	out := specJSON{Name: n.Name, Attributes: map[string]string{}, Text: n.Text, Children: []specJSON{}}
	for _, a := range n.Attrs {
		out.Attributes[a.Name] = a.Value
	}
	for _, c := range n.Children {
		out.Children = append(out.Children, c.json())
	}
	return out
}

// element is the spec in the order it is written.
func (s *MethodSpec) element() *Node {
	n := &Node{Name: specElement}
	if s.Name != "" {
		n.Attrs = []Attr{{methodAttribute, s.Name}}
	}
	if s.Node == nil {
		return n
	}
	for _, a := range s.Node.Attrs {
		if a.Name != methodAttribute {
			n.Attrs = append(n.Attrs, a)
		}
	}
	n.Text, n.Children = s.Node.Text, s.Node.Children
	return n
}
