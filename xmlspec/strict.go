package xmlspec

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// What a document may be at most. MaxNodes counts elements, attributes, comments and pieces of text that is
// not blank, so that indenting a document does not make it too large.
const (
	MaxBytes = 1 << 20
	MaxDepth = 32
	MaxNodes = 10_000

	maxName = 128
)

// Parse reads a document of plain elements, attributes and text, and gives its root. A document beyond
// the limits, a DOCTYPE, a processing instruction, a namespace, a prefix, an attribute given twice, a second
// root, text beside elements, another encoding than UTF-8, a control character or an entity other than the
// five of XML is a *SyntaxError.
func Parse(data []byte) (*Node, error) {
	return parse(data, MaxDepth)
}

func parse(data []byte, maxDepth int) (*Node, error) {
	return parseWithin(data, shape{depth: maxDepth, nodes: MaxNodes})
}

// shape is what a document may be at most; the size is the same for all.
type shape struct {
	depth, nodes int
	// space is the one namespace that there may be.
	space string
}

func parseWithin(data []byte, l shape) (*Node, error) {
	if len(data) > MaxBytes {
		return nil, &SyntaxError{Line: 1, Column: 1, Path: "/", Message: fmt.Sprintf("the document is larger than %d bytes", MaxBytes)}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if err := checkCharacters(data); err != nil {
		return nil, err
	}
	r := &reader{data: data, decoder: xml.NewDecoder(bytes.NewReader(data)), limits: l, textOffset: noText}
	r.decoder.CharsetReader = onlyUTF8
	return r.read()
}

func onlyUTF8(charset string, _ io.Reader) (io.Reader, error) {
	return nil, fmt.Errorf("encoding %.64q is not utf-8", charset)
}

// reader builds the tree. open is the innermost element that has not ended.
type reader struct {
	data    []byte
	decoder *xml.Decoder
	limits  shape

	root, open           *Node
	depth, nodes         int
	offset, line, column int    // where the present token begins
	text                 []byte // of the open element, since its last child
	textOffset           int    // where the text stops being blank, or noText
}

const noText = -1

func (r *reader) read() (*Node, error) {
	for {
		r.offset = int(r.decoder.InputOffset())
		r.line, r.column = r.decoder.InputPos()
		token, err := r.decoder.Token()
		if errors.Is(err, io.EOF) && r.root != nil {
			return r.root, nil
		}
		if err != nil {
			return nil, r.decoderError(err)
		}
		if err := r.take(token); err != nil {
			return nil, err
		}
	}
}

func (r *reader) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		return r.end()
	case xml.CharData:
		return r.characters(t)
	case xml.Comment:
		return r.count(1)
	case xml.ProcInst:
		return r.instruction(t)
	case xml.Directive:
		return r.errorf("a DOCTYPE or another directive is not allowed")
	}
	return nil
}

func (r *reader) instruction(t xml.ProcInst) error {
	if t.Target != "xml" || r.offset > 0 {
		return r.errorf("a processing instruction is not allowed")
	}
	return nil
}

func (r *reader) count(nodes int) error {
	if r.nodes += nodes; r.nodes > r.limits.nodes {
		return r.errorf("the document has more than %d nodes", r.limits.nodes)
	}
	return nil
}

// errorf points at the present token.
func (r *reader) errorf(format string, args ...any) error {
	return r.errorAt(r.offset, fmt.Sprintf(format, args...))
}

func (r *reader) errorAt(offset int, message string) error {
	path := "/"
	if r.open != nil {
		path = r.open.Path()
	}
	line, column := position(r.data, offset)
	return &SyntaxError{Line: line, Column: column, Path: path, Message: message}
}

// decoderError puts the decoder's own complaint into our words and adds the place. The complaint may quote
// the document at any length.
func (r *reader) decoderError(err error) error {
	message := strings.TrimPrefix(err.Error(), "xml: ")
	var syntax *xml.SyntaxError
	switch cause := errors.Unwrap(err); {
	case errors.As(err, &syntax):
		message = syntax.Msg
	case errors.Is(err, io.EOF):
		message = "there is no element"
	case cause != nil:
		message = cause.Error()
	}
	return r.errorAt(int(r.decoder.InputOffset()), fmt.Sprintf("%.200s", message))
}
