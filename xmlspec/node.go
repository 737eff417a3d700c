package xmlspec

import (
	"fmt"
	"strings"
)

// Node is one element of a document that Parse has read: it has children or text, never both.
type Node struct {
	Name     string
	Attrs    []Attr
	Children []*Node
	Text     string
	// Line and Column are where the element begins, both from 1, the column in bytes. They are 0 for
	// an element that was not read from a document.
	Line, Column int

	parent *Node
	origin string // the path of a root that is from no document
}

// Attr is one attribute of a Node.
type Attr struct{ Name, Value string }

// Path names the element from the root down, as in /domainsnapshot/disks/disk[2]. The first of several
// siblings has no index, so that the path does not depend on what follows the element.
func (n *Node) Path() string {
	switch {
	case n.origin != "":
		return n.origin
	case n.parent == nil:
		return "/" + n.Name
	}
	step := n.parent.Path() + "/" + n.Name
	if at := n.ordinal(); at > 1 {
		return fmt.Sprintf("%s[%d]", step, at)
	}
	return step
}

// ordinal counts the element and its elder siblings of the same name.
func (n *Node) ordinal() int {
	count := 1
	for _, sibling := range n.parent.Children {
		if sibling == n {
			break
		}
		if sibling.Name == n.Name {
			count++
		}
	}
	return count
}

// Errorf says what is wrong with the element, and where it stands.
func (n *Node) Errorf(format string, args ...any) *SyntaxError {
	return &SyntaxError{Line: n.Line, Column: n.Column, Path: n.Path(), Message: fmt.Sprintf(format, args...)}
}

// childErrorf points at the child and names the path of its parent, where the child should not be.
func (n *Node) childErrorf(child *Node, format string, args ...any) *SyntaxError {
	err := n.Errorf(format, args...)
	err.Line, err.Column = child.Line, child.Column
	return err
}

// Attr is the value of an attribute, and whether the element has it.
func (n *Node) Attr(name string) (string, bool) {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

// child is the first child of that name, or nil.
func (n *Node) child(name string) *Node {
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// add makes a child that stands where its parent stands.
func (n *Node) add(name string, attrs ...Attr) *Node {
	child := &Node{Name: name, Attrs: attrs, Line: n.Line, Column: n.Column, parent: n}
	n.Children = append(n.Children, child)
	return child
}

// addText makes a child with text, unless there is none.
func (n *Node) addText(name, text string) {
	if text != "" {
		n.add(name).Text = text
	}
}

const blanks = " \t\r\n"

func blank(text string) bool {
	return strings.Trim(text, blanks) == ""
}
