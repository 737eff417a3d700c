package xmlspec

import (
	"bytes"
	"strings"
)

// XML is the element as an indented document in the one form that domsnap writes.
func (n *Node) XML() []byte {
	var out bytes.Buffer
	n.write(&out, "")
	return out.Bytes()
}

func (n *Node) write(out *bytes.Buffer, indent string) {
	out.WriteString(indent + "<" + n.Name)
	for _, a := range n.Attrs {
		out.WriteString(" " + a.Name + "='" + escapeAttr(a.Value) + "'")
	}
	switch {
	case len(n.Children) > 0:
		out.WriteString(">\n")
		for _, c := range n.Children {
			c.write(out, indent+"  ")
		}
		out.WriteString(indent + "</" + n.Name + ">\n")
	case n.Text != "":
		out.WriteString(">" + escapeText(n.Text) + "</" + n.Name + ">\n")
	default:
		out.WriteString("/>\n")
	}
}

// escapeText keeps a carriage return, which a reader would take for the end of a line.
func escapeText(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;").Replace(text)
}

// escapeAttr keeps all white space, which a reader would take for spaces.
func escapeAttr(value string) string {
	return strings.NewReplacer("'", "&apos;", "\n", "&#10;", "\t", "&#9;").Replace(escapeText(value))
}
