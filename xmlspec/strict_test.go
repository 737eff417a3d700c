package xmlspec

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"nothing", "", "line 1, column 1, /: there is no element"},
		{"only text", "hello", "line 1, column 1, /: text outside the root element"},
		{"end of file", "<a>\n<b>", "line 2, column 4, /a/b: unexpected EOF"},
		{"wrong end", "<a><b></a>", "line 1, column 11, /a/b: element <b> closed by </a>"},
		{"long wrong end", "<a></" + strings.Repeat("b", 500) + ">", "line 1, column 507, /a: element <a> closed by </" + strings.Repeat("b", 200-len("element <a> closed by </"))},
		{"end alone", "</a>", "line 1, column 5, /: unexpected end element </a>"},
		{"second root", "<a/>\n<b/>", "line 2, column 1, /: a second root element <b>"},
		{"text after", "<a/>\n\n x", "line 3, column 2, /: text outside the root element"},
		{"reference after", "<a/>&amp;", "line 1, column 5, /: text outside the root element"},
		{"text before element", "<a>\n x<b/></a>", "line 2, column 2, /a: text and elements are mixed"},
		{"text after element", "<a><b/>\n x</a>", "line 2, column 2, /a: text and elements are mixed"},
		{"text behind comment", "<a><!-- --><![CDATA[x]]><b/></a>", "line 1, column 12, /a: text and elements are mixed"},
		{"path counts", "<a><b/><c/><b><d/>x</b></a>", "line 1, column 19, /a/b[2]: text and elements are mixed"},
		{"attribute twice", "<a b='1' b='2'/>", "line 1, column 1, /a: attribute b twice"},
		{"default namespace", "<a xmlns=''/>", "line 1, column 1, /a: namespaces and prefixes are not allowed (attribute xmlns)"},
		{"declared prefix", "<a xmlns:x='urn:x'/>", "line 1, column 1, /a: namespaces and prefixes are not allowed (attribute x)"},
		{"built-in prefix", "<a xml:lang='en'/>", "line 1, column 1, /a: namespaces and prefixes are not allowed (attribute lang)"},
		{"colon", "<:a/>", "line 1, column 1, /: namespaces and prefixes are not allowed (element :a)"},
		{"directive", "<a><!ELEMENT a></a>", "line 1, column 4, /a: a DOCTYPE or another directive is not allowed"},
		{"instruction", "<a><?b c?></a>", "line 1, column 4, /a: a processing instruction is not allowed"},
		{"late declaration", "\n<?xml version='1.0'?><a/>", "line 2, column 1, /: a processing instruction is not allowed"},
		{"version", "<?xml version='1.1'?><a/>", `line 1, column 22, /: unsupported version "1.1"; only version 1.0 is supported`},
		{"entity", "<a>&nbsp;</a>", "line 1, column 10, /a: invalid character entity &nbsp;"},
		{"NUL by number", "<a>&#0;</a>", "line 1, column 8, /a: illegal character code U+0000"},
		{"NUL", "<a>\n\x00</a>", "line 2, column 1, /: character U+0000 is not allowed"},
		{"noncharacter", "<a>\uFFFE</a>", "line 1, column 4, /: character U+FFFE is not allowed"},
		{"not UTF-8 in comment", "<!-- \xC3 --><a/>", "line 1, column 6, /: this is not UTF-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantSyntaxError(t, test.data, test.want)
		})
	}
}

func wantSyntaxError(t *testing.T, data, want string) {
	t.Helper()
	_, err := Parse([]byte(data))
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("got %v, want a *SyntaxError", err)
	}
	if err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestParseLimits(t *testing.T) {
	long := strings.Repeat("n", maxName)
	tests := []struct{ name, within, beyond, want string }{
		{
			"bytes", "<a>" + strings.Repeat("x", MaxBytes-7) + "</a>", "<a>" + strings.Repeat("x", MaxBytes-6) + "</a>",
			"line 1, column 1, /: the document is larger than 1048576 bytes",
		},
		{"depth", nested(MaxDepth), nested(MaxDepth + 1), "elements nest deeper than 32 levels"},
		{"elements", flat("<b/>\n", 9999), flat("<b/>", 10000), "the document has more than 10000 nodes"},
		{"attributes", flat("<b c='' d=''/>", 3333), flat("<b c='' d=''/>", 3334), "the document has more than 10000 nodes"},
		{"comments", flat("<!---->", 9999), flat("<!---->", 10000), "the document has more than 10000 nodes"},
		{"pieces of text", flat("<![CDATA[x]]>", 9999), flat("<![CDATA[x]]>", 10000), "the document has more than 10000 nodes"},
		{"element name", "<" + long + "/>", "<" + long + "n/>", "line 1, column 1, /: an element's name is longer than 128 bytes"},
		{"attribute name", "<a " + long + "=''/>", "<a " + long + "n=''/>", "line 1, column 1, /a: an attribute's name is longer than 128 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Parse([]byte(test.within)); err != nil {
				t.Errorf("within the limit: %v", err)
			}
			if _, err := Parse([]byte(test.beyond)); err == nil || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("beyond the limit: got %v, want %s", err, test.want)
			}
		})
	}
}

func nested(levels int) string {
	return strings.Repeat("<a>", levels) + strings.Repeat("</a>", levels)
}

func flat(child string, count int) string {
	return "<a>" + strings.Repeat(child, count) + "</a>"
}

func TestParseTree(t *testing.T) {
	root, err := Parse([]byte("\uFEFF<?xml version='1.0' encoding='UTF-8'?>\n<a x='1 &lt; 2'>\n  <b>one <!-- two -->&#116;hree<![CDATA[ <4>]]></b>\n  <b>\n</b></a>\n<!-- end -->\n"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := root.Children[0], root.Children[1]
	if x, ok := root.Attr("x"); x != "1 < 2" || !ok {
		t.Errorf("attribute x is %q, %v", x, ok)
	}
	if _, ok := root.Attr("y"); ok {
		t.Error("there is an attribute y")
	}
	if first.Text != "one three <4>" || second.Text != "\n" || root.Text != "" {
		t.Errorf("texts are %q, %q, %q", first.Text, second.Text, root.Text)
	}
	if got := second.Errorf("bad %s", "thing").Error(); got != "line 4, column 3, /a/b[2]: bad thing" {
		t.Error(got)
	}
}

// TestParseIsQuick has documents that would be slow if any of the work were quadratic.
func TestParseIsQuick(t *testing.T) {
	tests := map[string]string{
		"late errors":     "<a>" + strings.Repeat("x", MaxBytes-100) + "<b/></a>",
		"attributes":      "<a " + strings.Repeat("b='' ", MaxBytes/5-10) + "/>",
		"pieces of space": flat("<![CDATA[ ]]>", MaxBytes/14),
		"pieces of text":  "<a>" + strings.Repeat("x", MaxBytes/2) + strings.Repeat("<!---->x", 4999) + "</a>",
		"siblings":        flat("<b>\n</b>", 9999) + "<c/>",
		"only brackets":   strings.Repeat("<a>", MaxBytes/3),
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, _ = Parse([]byte(data))
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
