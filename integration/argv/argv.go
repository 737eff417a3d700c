// Package argv holds the argument lists that methods build to what the programs make of them: a name that somebody else
// chose is one argument, and never an option, a protocol or a driver.
package argv

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Grammar is how a program takes its arguments apart: as getopt does, options also behind other arguments.
type Grammar struct {
	// Bare are options without a value, Valued those with one.
	Bare, Valued []string
}

// Call is one run of a program.
type Call struct {
	Program string
	// Options has the values by option; a bare one has an empty value.
	Options map[string][]string
	// Rest are the other arguments.
	Rest []string
}

// Parse fails for an option that nobody meant to give.
func (g Grammar) Parse(program string, args []string) (Call, error) {
	c := Call{Program: program, Options: map[string][]string{}}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		name, value, inline := strings.Cut(word, "=")
		switch {
		case word == "--":
			c.Rest, args = append(c.Rest, args...), nil
		case len(word) < 2 || word[0] != '-':
			c.Rest = append(c.Rest, word)
		case slices.Contains(g.Bare, word):
			c.Options[word] = append(c.Options[word], "")
		case inline && slices.Contains(g.Valued, name):
			c.Options[name] = append(c.Options[name], value)
		case slices.Contains(g.Valued, word) && len(args) > 0:
			c.Options[word] = append(c.Options[word], args[0])
			args = args[1:]
		default:
			return c, fmt.Errorf("%s takes %q for an option", program, word)
		}
	}
	return c, nil
}

// Recorder is a command.Runner that runs nothing. It fails the test where a program would take a name for an option.
type Recorder struct {
	T        testing.TB
	Grammars map[string]Grammar
	// Output is what programs print; nil for nothing.
	Output func(Call) []byte
	Calls  []Call
}

// Run implements command.Runner.
func (r *Recorder) Run(_ context.Context, program string, args ...string) ([]byte, error) {
	r.T.Helper()
	g, ok := r.Grammars[program]
	if !ok {
		r.T.Fatalf("it runs %q", program)
	}
	c, err := g.Parse(program, args)
	if err == nil && slices.ContainsFunc(args, unfit) {
		err = fmt.Errorf("it cannot be run with %q", args)
	}
	if err != nil {
		r.T.Error(err)
	}
	r.Calls = append(r.Calls, c)
	if r.Output == nil {
		return nil, nil
	}
	return r.Output(c), nil
}

// unfit arguments are those that the kernel ends early or refuses.
func unfit(arg string) bool { return strings.Contains(arg, "\x00") || len(arg) >= 128<<10 }
