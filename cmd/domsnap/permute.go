package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// permute lets options stand anywhere, as virsh does: the library wants the global ones before the command and the
// command's before its arguments. What follows "--" stays an argument.
func permute(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	p := permuter{global: append([]cli.Flag{cli.VersionFlag}, app.Flags...)}
	rest := args[1:]
	for len(rest) > 0 {
		rest = p.take(app, rest)
	}
	out := append([]string{args[0]}, p.globals...)
	if p.command == "" {
		return append(append(out, p.unknown...), p.arguments...)
	}
	// What nobody knows is left to the command, so that how to complain about it is read before.
	options := slices.Concat(p.unknown, p.options)
	out = append(append(out, p.command), options...)
	if slices.Contains(options, "--help") || slices.Contains(options, "-h") {
		// The library would take an argument for a topic.
		return out
	}
	return append(append(out, "--"), p.arguments...)
}

type permuter struct {
	global, own []cli.Flag
	command     string

	globals, unknown, options, arguments []string
}

// take sorts the first word, and the value that belongs to it.
func (p *permuter) take(app *cli.App, args []string) []string {
	word := args[0]
	switch {
	case word == "--":
		p.arguments = append(p.arguments, args[1:]...)
		return nil
	case len(word) > 1 && word[0] == '-':
		return p.option(args)
	case p.command == "":
		p.command = word
		if c := app.Command(word); c != nil {
			p.own = c.Flags
		}
	default:
		p.arguments = append(p.arguments, word)
	}
	return args[1:]
}

func (p *permuter) option(args []string) []string {
	name, _, inline := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	into, flag := &p.options, find(p.own, name)
	if flag == nil && (p.command == "" || find(p.global, name) != nil) {
		into, flag = &p.globals, find(p.global, name)
		if flag == nil {
			into = &p.unknown
		}
	}
	n := 1
	if takesValue(flag) && !inline && len(args) > 1 {
		n = 2
	}
	*into = append(*into, args[:n]...)
	return args[n:]
}

// wantsValue is the option that a word is, where its value is the next word; else nil.
func (p *permuter) wantsValue(word string) cli.Flag {
	name := strings.TrimLeft(word, "-")
	if name == word {
		return nil
	}
	flag := find(p.own, name)
	if flag == nil {
		flag = find(p.global, name)
	}
	if !takesValue(flag) {
		return nil
	}
	return flag
}

func find(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	doc, ok := f.(cli.DocGenerationFlag)
	return ok && doc.TakesValue()
}
