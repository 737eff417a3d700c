package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator"
)

// How domsnap talks:
//
// The result goes to standard output, and nothing else does. With --output json that is exactly one document, on
// errors too. Everything for people goes to standard error. An error is one line, "domsnap: what went wrong", and, where
// there is something to do about it, a second one, "hint: what". Text that came from elsewhere is printed without its
// control characters.
//
// What takes long draws how far it is on standard error, where that is a terminal and the result is for people; it takes
// that away again before anything else is printed.

// ui is how the program talks to its caller.
type ui struct {
	in       io.Reader
	out, err io.Writer
	json     bool
	quiet    bool
	verbose  int
	// failed is an error that the library has no other way to return.
	failed error
	// mu is for steps that run side by side.
	mu       sync.Mutex
	progress *progress
}

// answer is what a verb has to say.
type answer struct {
	// value is printed with --output json.
	value any
	// table prints it for people.
	table func(w io.Writer) error
}

func (ui *ui) setUp(c *cli.Context) error {
	ui.quiet, ui.verbose = c.Bool(optQuiet), c.Count(optVerbose)
	switch c.String(optOutput) {
	case "json":
		ui.json = true
	case "table":
	default:
		return usage("--output is table or json, not %q", c.String(optOutput))
	}
	if !c.Bool(optNoProgress) && !ui.quiet && !ui.json {
		ui.progress = newProgress(os.Stderr)
	}
	return nil
}

func (ui *ui) print(a answer) error {
	ui.progress.clear()
	if ui.json {
		return ui.encode(a.value)
	}
	var text bytes.Buffer
	if err := a.table(&text); err != nil {
		return err
	}
	_, err := io.WriteString(ui.out, printable(text.String()))
	return err
}

func (ui *ui) encode(value any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err
	}
	if !bytes.ContainsFunc(text.Bytes(), unprintable) {
		// A list of all that a domain has is not copied once more.
		_, err := ui.out.Write(text.Bytes())
		return err
	}
	_, err := io.WriteString(ui.out, escaped(text.String()))
	return err
}

// watch tells what a step does, to those who want to know.
func (ui *ui) watch(e orchestrator.Event) {
	ui.mu.Lock()
	defer ui.mu.Unlock()
	ui.progress.show(e, time.Now())
	if ui.verbose == 0 || !e.Done {
		return
	}
	outcome := "done"
	if e.Err != nil {
		outcome = "failed"
	}
	fmt.Fprintf(ui.err, "%s: %s in %d ms\n", oneLine(e.Step), outcome, e.Took.Milliseconds())
}

// progressOf tells how far something is that is no step of a verb, from the first time that it is called.
func (ui *ui) progressOf(name string) methods.Progress {
	var began time.Time
	return func(done, total int64) {
		if began.IsZero() {
			began = time.Now()
		}
		ui.watch(orchestrator.Event{Step: name, Current: done, Total: total})
		if done == total {
			ui.watch(orchestrator.Event{Step: name, Done: true, Took: time.Since(began)})
		}
	}
}

// finish reports how the program ended and gives its exit code.
func (ui *ui) finish(err error) int {
	ui.progress.clear()
	if err == nil {
		err = ui.failed
	}
	if err == nil {
		return 0
	}
	code, hint := exitCode(err), hintOf(err)
	message := err.Error()
	if ui.verbose > 1 {
		message = fmt.Sprintf("%+v", err)
	}
	if ui.json {
		return ui.finishJSON(code, message, hint)
	}
	fmt.Fprintf(ui.err, "domsnap: %s\n", printable(message))
	if hint != "" {
		fmt.Fprintf(ui.err, "hint: %s\n", printable(hint))
	}
	return code
}

func (ui *ui) finishJSON(code int, message, hint string) int {
	type report struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	}
	err := ui.encode(struct {
		Error report `json:"error"`
	}{report{code, message, hint}})
	if err != nil {
		fmt.Fprintf(ui.err, "domsnap: %s\n", printable(errors.Join(errors.New(message), err).Error()))
	}
	return code
}

// printable takes out what could move a terminal's cursor, or show text in another order than it is in.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || unprintable(r) {
			return -1
		}
		return r
	}, s)
}

// unprintable are the control characters beyond ASCII's first, and those that turn the direction of writing.
func unprintable(r rune) bool {
	return r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// oneLine is printable for what must not look like several lines, or columns.
func oneLine(s string) string {
	return printable(strings.NewReplacer("\n", " ", "\t", " ").Replace(s))
}

// escaped says in JSON's way what a JSON document has of such characters, all of it in strings.
func escaped(document string) string {
	var b strings.Builder
	for _, r := range document {
		if unprintable(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
