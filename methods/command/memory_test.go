package command_test

import (
	"context"
	"errors"
	"testing"

	"github.com/domsnap/domsnap/methods/command"
)

// counter is a program that says how often it was run, and fails when it is told to.
type counter struct{ runs int }

func (c *counter) Run(_ context.Context, name string, args ...string) ([]byte, error) {
	c.runs++
	if len(args) > 0 && args[0] == "fail" {
		return nil, &command.Error{Name: name, Args: args, Err: errors.New("told to")}
	}
	return []byte{byte(c.runs)}, nil
}

func TestAskRemembers(t *testing.T) {
	for _, c := range []struct {
		name  string
		ctx   context.Context
		asked [][]string
		runs  int
	}{
		{"no memory", t.Context(), [][]string{{"lvs", "a"}, {"lvs", "a"}}, 2},
		{"the same", command.WithMemory(t.Context()), [][]string{{"lvs", "a"}, {"lvs", "a"}, {"lvs", "a"}}, 1},
		{"others", command.WithMemory(t.Context()), [][]string{{"lvs", "a"}, {"lvs", "a b"}, {"lvs", "a", "b"}, {"lvsa"}}, 4},
		{"what failed", command.WithMemory(t.Context()), [][]string{{"lvs", "fail"}, {"lvs", "fail"}}, 2},
		{"a memory of its own", command.WithMemory(command.WithMemory(t.Context())), [][]string{{"lvs"}, {"lvs"}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			program, said := &counter{}, map[string]byte{}
			for _, line := range c.asked {
				out, err := command.Ask(c.ctx, program, line[0], line[1:]...)
				if err == nil {
					said[line[0]] = out[0]
				}
			}
			if program.runs != c.runs {
				t.Errorf("%d runs, want %d; said %v", program.runs, c.runs, said)
			}
		})
	}
}

// TestRunIsNotRemembered: who changes something, or waits for a change, runs the program each time.
func TestRunIsNotRemembered(t *testing.T) {
	ctx, program := command.WithMemory(t.Context()), &counter{}
	for range 2 {
		if _, err := program.Run(ctx, "lvs"); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := command.Ask(ctx, program, "lvs"); err != nil || out[0] != 3 {
		t.Errorf("%v, %v", out, err)
	}
}
