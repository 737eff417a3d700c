// Command svg draws what the demo prints, which comes in, as a terminal.
package main

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a terminal looks like, in pixels.
const (
	columns    = 88
	charWidth  = 8.4
	lineHeight = 19
	margin     = 16
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "svg:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	lines, err := read(in)
	if err != nil {
		return fmt.Errorf("read what the demo printed: %w", err)
	}
	_, err = io.WriteString(out, draw(lines))
	return err
}

// read takes lines apart that are too long, and leaves out what begins before the demo does.
func read(in io.Reader) ([]line, error) {
	var all []line
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		text := strings.TrimRightFunc(strings.Map(visible, scanner.Text()), unicode.IsSpace)
		l := line{text, kindOf(text)}
		if len(all) == 0 && l.kind != comment {
			continue
		}
		all = append(all, l.split()...)
	}
	return all, scanner.Err()
}

func visible(r rune) rune {
	if unicode.IsControl(r) {
		return -1
	}
	return r
}

// kind is how a line is drawn.
type kind string

const (
	comment kind = "comment"
	command kind = "command"
	output  kind = "output"
)

type line struct {
	text string
	kind kind
}

func kindOf(text string) kind {
	switch {
	case strings.HasPrefix(text, "# "):
		return comment
	case strings.HasPrefix(text, "$ "):
		return command
	default:
		return output
	}
}

// split breaks before the edge of the terminal: between words, where there are some.
func (l line) split() []line {
	var all []line
	rest := []rune(l.text)
	for len(rest) > columns {
		end := columns
		if space := strings.LastIndex(string(rest[:columns+1]), " "); space > len("  ") {
			end = utf8.RuneCountInString(string(rest[:columns+1])[:space])
		}
		all = append(all, line{string(rest[:end]), l.kind})
		rest = []rune("  " + strings.TrimLeft(string(rest[end:]), " "))
	}
	return append(all, line{string(rest), l.kind})
}

func draw(lines []line) string {
	var b strings.Builder
	width, height := int(math.Ceil(charWidth*columns))+2*margin, len(lines)*lineHeight+2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">
<style>
text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre; fill: #d4d4d4 }
.comment { fill: #7fb4ca }
.command { fill: #ffffff; font-weight: bold }
</style>
<rect width="100%%" height="100%%" rx="8" fill="#1c1c22"/>
`, width, height)
	for i, l := range lines {
		if l.text == "" {
			continue
		}
		// The length is said, so that columns are columns whatever the font is.
		fmt.Fprintf(&b, `<text class="%s" xml:space="preserve" x="%d" y="%d" textLength="%.1f">%s</text>`+"\n",
			l.kind, margin, margin+(i+1)*lineHeight-5, charWidth*float64(utf8.RuneCountInString(l.text)), escaped(l.text))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func escaped(text string) string {
	var b strings.Builder
	// A strings.Builder takes everything.
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}
