package xmlspec

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// SyntaxError is what is wrong with a document, and where.
type SyntaxError struct {
	// Line and Column are from 1, the column in bytes; both are 0 where there is no document.
	Line, Column int
	// Path names the element, as in /domainsnapshot/disks/disk[2].
	Path    string
	Message string
}

// Error is the place and the message on one line.
func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.Path + ": " + e.Message
	}
	return fmt.Sprintf("line %d, column %d, %s: %s", e.Line, e.Column, e.Path, e.Message)
}

// position is the line and column of an offset.
func position(data []byte, offset int) (line, column int) {
	before := data[:offset]
	return 1 + bytes.Count(before, []byte{'\n'}), offset - bytes.LastIndexByte(before, '\n')
}

// checkCharacters looks at the whole document, comments too, which the decoder does not do.
func checkCharacters(data []byte) error {
	for offset := 0; offset < len(data); {
		r, size := utf8.DecodeRune(data[offset:])
		if problem := characterProblem(r, size); problem != "" {
			line, column := position(data, offset)
			return &SyntaxError{Line: line, Column: column, Path: "/", Message: problem}
		}
		offset += size
	}
	return nil
}

func characterProblem(r rune, size int) string {
	switch {
	case r == utf8.RuneError && size == 1:
		return "this is not UTF-8"
	case r < ' ' && !strings.ContainsRune("\t\n\r", r), r == 0xFFFE, r == 0xFFFF:
		return fmt.Sprintf("character %U is not allowed", r)
	}
	return ""
}
