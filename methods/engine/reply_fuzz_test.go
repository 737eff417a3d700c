package engine

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/domsnap/domsnap/integration/bounds"
	"github.com/domsnap/domsnap/methods"
)

const fuzzedSize = 1 << 30

var errTaken = errors.New("it is taken for right")

// read says what is wrong with the answer to a verb. It reads it as the verb does.
func read[T any](check func(T) error) func([]byte) error {
	return func(line []byte) error {
		r, err := parseReply[T](line, 1)
		switch {
		case err != nil:
			return err
		case r.Error != nil:
			_, err := r.Error.asError()
			return err
		case r.Progress != nil:
			return nil
		}
		return check(*r.Result)
	}
}

// answers are all kinds of lines that follow the greeting.
var answers = []func([]byte) error{
	read(func(nothing) error { return nil }),
	read(func(methods.Verbs) error { return nil }),
	read(func(a statAnswer) error { return checkSize("bytes_used", a.BytesUsed) }),
	read(func(a openAnswer) error { return checkSize("size", a.Size) }),
	read(func(readAnswer) error { return nil }),
	read(func(a revertAnswer) error { return checkSize("bytes_written", a.BytesWritten) }),
	read(func(a claimAnswer) error { return checkText("why", a.Why, 200) }),
	read(func(a plannedRef) error { return a.check(false) }),
	read(checkSource),
	read(func(a listAnswer) error {
		if a.Names == nil {
			return nil
		}
		return checkTexts("name", *a.Names, 1024)
	}),
	read(func(a changesAnswer) error {
		if a.Extents == nil {
			return nil
		}
		extents, err := toExtents(*a.Extents, fuzzedSize)
		for i, e := range extents {
			if e.Length <= 0 || e.End() > fuzzedSize || i > 0 && e.Offset <= extents[i-1].End() {
				return fmt.Errorf("%w: %v", errTaken, extents)
			}
		}
		return err
	}),
	read(func(a dropPlanAnswer) error {
		_, err := renamed(a.Renamed, []methods.Ref{{Snapshot: "sone"}, {Snapshot: "stwo", Active: "a"}})
		return err
	}),
}

// FuzzReply reads a line as the answer to each verb. What is wrong with it fits on a terminal.
func FuzzReply(f *testing.F) {
	for _, result := range []string{
		`{}`, `{"bytes_used":-1}`, `{"size":9223372036854775807}`, `{"data":"` + base64.StdEncoding.EncodeToString([]byte("four")) + `"}`,
		`{"zeros":true}`, `{"data":"====","data":""}`, `{"data": "\u0000"}`, `{"rank":99,"why":"\u001b[2J"}`, `{"names":["a","","\u202e"]}`, `{"names":null}`,
		`{"name":"--help","origin":"json:{}","size":1,"lock":"l","mode":"m"}`, `{"extents":[[0,4096],[8192,4096]]}`, `{"extents":[[9223372036854775807,1]]}`,
		`{"needed_by":["x"],"renamed":[{"snapshot":"sone","name":"n","origin":"o"}],"active":""}`,
		`{"xml":"<source file='/a'/>","uri":"/a","format":"raw"}`, `{"xml":"<!DOCTYPE a [<!ENTITY b 'c'>]><source>&b;</source>","uri":"/a","format":"raw"}`,
		`{"changes":true}`, `{"bytes_written":0}`,
	} {
		f.Add([]byte(`{"id":1,"result":` + result + `}`))
	}
	for _, line := range []string{
		`{"id":1,"error":{"kind":"blocked","message":"somebody has it open","hint":"see who"}}`, `{"id":1,"error":{"kind":"","message":"\u0007"}}`,
		`{"id":1,"progress":{"done":5,"total":4}}`, `{"id":1,"progress":{"done":1,"total":4}}`, `{"id":2,"result":{}}`, `{"id":1,"result":{},"error":{}}`,
		`{"id":1,"result":{}}{"id":1}`, `{"ID":1,"Result":{}}`, `[`, ``, "\xff", `{"id":1e0,"result":{}}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, answer := range answers {
			bounds.Within(t, func() {
				// Data is cut out in place.
				err := answer(bytes.Clone(line))
				if errors.Is(err, errTaken) || err != nil && len(err.Error()) > 16<<10 {
					t.Errorf("%.200v", err)
				}
			})
		}
	})
}

// FuzzReadReply: with the data cut out and filled in again a line says what it says to the JSON parser.
func FuzzReadReply(f *testing.F) {
	for _, line := range []string{
		`{"id":1,"result":{"data":"MDEy"}}`, `{"id": 1, "result": {"data": "MDEy"}}`, `{"id":1,"result":{"zeros":true}}`, `{"id":1,"result":{"data":""}}`,
		`{"id":1,"error":{"kind":"broken","message":"\"data\":\"x\""}}`, `{"data":"MDEy"`, `{"id":1,"result":{"data":"MDEy","data":"MD"}}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var r reply[readAnswer]
		var err error
		bounds.Within(t, func() { r, err = parseReply[readAnswer](bytes.Clone(line), 1) })
		var slow reply[plainRead]
		slowErr := decode(line, &slow)
		if err != nil || slowErr != nil || r.Result == nil || bytes.Count(line, dataKey) > 1 {
			return
		}
		if !bytes.Equal(r.Result.Data, slow.Result.Data) {
			t.Errorf("it reads %q, want %q", r.Result.Data, slow.Result.Data)
		}
	})
}

// plainRead is readAnswer without the short cut.
type plainRead readAnswer

// FuzzGreeting reads the first line of an engine.
func FuzzGreeting(f *testing.F) {
	f.Add([]byte(`{"protocol":1,"traits":{"summary":"disks of a FooStor","take_cost":"nothing","revert_cost":"size"},"verbs":{"prepare":true,"changes":true}}`))
	f.Add([]byte(`{"protocol":2,"anything":[]}`))
	f.Add([]byte(`{"protocol":1,"traits":{"name":"lvm","mode":"x","summary":"\u001b]0;x\u0007"},"verbs":{"keep":true}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		bounds.Within(t, func() {
			var g greeting
			if checkVersion(line) != nil || decode(line, &g) != nil || checkGreeting(g) != nil {
				return
			}
			if g.Traits.Summary == "" || len(g.Traits.Summary) > 200 {
				t.Errorf("%q", g.Traits.Summary)
			}
		})
	})
}

// FuzzLines cuts an engine's output into lines: all of them, each once, and none without an end.
func FuzzLines(f *testing.F) {
	f.Add([]byte("{}\n{}\n"))
	f.Add([]byte("\n\n{}"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, output []byte) {
		bounds.Within(t, func() {
			r, rest := newLineReader(bytes.NewReader(output)), output
			for {
				line, err := r.next()
				if err != nil {
					break
				}
				if !bytes.HasPrefix(rest, line) || bytes.IndexByte(line, '\n') != len(line)-1 {
					t.Fatalf("the line %q of %q", line, rest)
				}
				rest = rest[len(line):]
			}
			if bytes.IndexByte(rest, '\n') >= 0 {
				t.Errorf("%q was not read", rest)
			}
		})
	})
}

// FuzzStderr: of what an engine says to people the end is kept, fit for a terminal.
func FuzzStderr(f *testing.F) {
	f.Add([]byte("cannot open /dev/foo\n"), 3)
	f.Add([]byte("\x1b[31mred\x1b[0m\r\n\xff\u202e"), 1)
	f.Fuzz(func(t *testing.T, said []byte, piece int) {
		bounds.Within(t, func() {
			kept := &tail{}
			for part := range pieces(said, piece) {
				kept.add(part)
			}
			s := kept.String()
			if !utf8.ValidString(s) || strings.ContainsAny(s, "\x1b\r\x00\u202e\u009b") || strings.Contains(lastLines(s, 3), "\n") {
				t.Errorf("%q", s)
			}
		})
	})
}

// pieces are the pieces in which a pipe may hand out what was written to it.
func pieces(data []byte, size int) func(func([]byte) bool) {
	size = max(1, size, len(data)/100)
	return func(yield func([]byte) bool) {
		for len(data) > 0 && yield(data[:min(size, len(data))]) {
			data = data[min(size, len(data)):]
		}
	}
}

func TestWorstReplies(t *testing.T) {
	const head, tail = `{"id":1,"result":{`, `}}`
	for what, line := range map[string][]byte{
		"extents": bounds.Stretch(head+`"extents":[[]`, `,[]`, `]`+tail),
		"numbers": bounds.Stretch(head+`"extents":[[1`, `,1`, `]]`+tail),
		"names":   bounds.Stretch(head+`"names":[""`, `,""`, `]`+tail),
		"needed":  bounds.Stretch(head+`"needed_by":[""`, `,""`, `]`+tail),
		"renamed": bounds.Stretch(head+`"renamed":[{}`, `,{}`, `]`+tail),
		"escapes": bounds.Stretch(head+`"name":"`, `\u0000`, `"`+tail),
		"xml":     bounds.Stretch(head+`"format":"raw","uri":"/a","xml":"`, `<a>`, `"`+tail),
		"message": bounds.Stretch(`{"id":1,"error":{"kind":"failed","message":"`, `x`, `"}}`),
		"nested":  bounds.Nest("[", "]"),
		"keys":    bounds.Stretch(head, `"names":[],`, `"names":[]`+tail),
		"data":    append(append([]byte(head+`"data":"`), bytes.Repeat([]byte("AAAA"), (maxLine-100)/4)...), []byte(`"`+tail)...),
	} {
		t.Run(what, func(t *testing.T) {
			for _, answer := range answers {
				bounds.Within(t, func() { _ = answer(bytes.Clone(line)) })
			}
		})
	}
}

func TestLineBesideDataIsBounded(t *testing.T) {
	line := append(bytes.Repeat([]byte(" "), maxJSON), []byte(`{"id":1,"result":{}}`)...)
	if _, err := parseReply[nothing](line, 1); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
}
