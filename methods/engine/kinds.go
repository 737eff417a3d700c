package engine

import (
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// kinds say what each kind of an engine's error is to domsnap.
var kinds = []struct {
	name string
	make func(message, hint string) error
}{
	{"exists", wrapped(methods.ErrExists)},
	{"not-found", wrapped(methods.ErrNotFound)},
	{"broken", wrapped(methods.ErrBroken)},
	{"unsupported", func(message, hint string) error { return &methods.Unsupported{What: with(message, hint)} }},
	{"blocked", func(message, hint string) error { return &methods.Blocked{What: message, Hint: hint} }},
	{"failed", func(message, hint string) error { return fmt.Errorf("%s", with(message, hint)) }},
}

func wrapped(kind error) func(message, hint string) error {
	return func(message, hint string) error { return fmt.Errorf("%s: %w", with(message, hint), kind) }
}

func with(message, hint string) string {
	if hint == "" {
		return message
	}
	return message + " (" + hint + ")"
}

// refusal is an engine's "no".
type refusal struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// asError fails where the refusal itself is wrong.
func (r refusal) asError() (refused, wrong error) {
	if err := checkText("message", r.Message, 4<<10); err != nil {
		return nil, err
	}
	if r.Hint != "" {
		if err := checkText("hint", r.Hint, 4<<10); err != nil {
			return nil, err
		}
	}
	for _, k := range kinds {
		if k.name == r.Kind {
			return k.make(r.Message, r.Hint), nil
		}
	}
	return nil, fmt.Errorf("an error of the unknown kind %q", r.Kind)
}

// Error is an engine that did not do what it was asked.
type Error struct {
	Engine, Verb string
	Err          error
	// Stderr is the last it had to say; empty where the answer itself says all.
	Stderr string
}

func (e *Error) Error() string {
	s := fmt.Sprintf("engine %s: %s: %v", e.Engine, e.Verb, e.Err)
	if e.Stderr != "" {
		s += " (it said: " + lastLines(e.Stderr, 3) + ")"
	}
	return s
}

// Format prints with %+v all that was kept of its standard error.
func (e *Error) Format(s fmt.State, verb rune) {
	if verb == 'v' && s.Flag('+') {
		fmt.Fprintf(s, "engine %s: %s: %v\n%s", e.Engine, e.Verb, e.Err, e.Stderr)
		return
	}
	fmt.Fprint(s, e.Error())
}

func (e *Error) Unwrap() error { return e.Err }
