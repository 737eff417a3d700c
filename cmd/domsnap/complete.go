package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/orchestrator/virt"
)

const (
	// completeVerb is the hidden command that the shells' completions ask.
	completeVerb = "complete"
	// completeTimeout is how long somebody waits who has pressed a key.
	completeTimeout = 2 * time.Second
)

// completeCommand prints what the last of the words could become, a line each: the word and, after a tab, what it is. (The
// library's own completion knows no arguments, and no options after them.) Nothing at all is for the shell to complete: a
// file, as a rule. Errors are silent: somebody is typing.
func (ui *ui) completeCommand() *cli.Command {
	return &cli.Command{
		Name: completeVerb, Hidden: true, ArgsUsage: "-- WORD...", Usage: "print what the last word of a command line could become",
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			if len(words) == 0 {
				words = []string{""}
			}
			ctx, cancel := context.WithTimeout(c.Context, completeTimeout)
			defer cancel()
			return printCandidates(ui.out, newCompletion(ui, c, words).candidates(ctx))
		},
	}
}

func printCandidates(w io.Writer, all []candidate) error {
	for _, c := range all {
		if _, err := fmt.Fprintln(w, strings.TrimRight(oneLine(c.word)+"\t"+oneLine(c.about), "\t")); err != nil {
			return err
		}
	}
	return nil
}

// candidate is what a word could become.
type candidate struct{ word, about string }

// completion is a command line that somebody has typed a part of.
type completion struct {
	ui *ui
	c  *cli.Context
	// typed is what there is of the last word, in front of it the option that it is the value of.
	prefix, typed string
	line          permuter
	command       *cli.Command
	// option is the one whose value is typed; nil for none.
	option cli.Flag
}

func newCompletion(ui *ui, c *cli.Context, words []string) *completion {
	last := len(words) - 1
	p := &completion{ui: ui, c: c, typed: words[last], line: permuter{global: append([]cli.Flag{cli.VersionFlag}, c.App.Flags...)}}
	for rest := words[:last]; len(rest) > 0; {
		if len(rest) == 1 {
			p.option = p.line.wantsValue(rest[0])
		}
		rest = p.line.take(c.App, rest)
	}
	if name, value, inline := strings.Cut(p.typed, "="); inline && p.option == nil {
		if p.option = p.line.wantsValue(name); p.option != nil {
			p.prefix, p.typed = name+"=", value
		}
	}
	p.command = c.App.Command(p.line.command)
	return p
}

func (p *completion) candidates(ctx context.Context) []candidate {
	var fitting []candidate
	for _, c := range p.all(ctx) {
		if strings.HasPrefix(c.word, p.typed) {
			fitting = append(fitting, candidate{p.prefix + c.word, c.about})
		}
	}
	return fitting
}

func (p *completion) all(ctx context.Context) []candidate {
	switch {
	case p.option != nil:
		return p.values(ctx)
	case strings.HasPrefix(p.typed, "-"):
		return p.options()
	case p.command == nil && p.line.command == "":
		return p.commands()
	case p.command == nil:
		return nil
	default:
		return p.named(ctx, p.argument())
	}
}

func (p *completion) commands() []candidate {
	var all []candidate
	for _, c := range p.c.App.VisibleCommands() {
		all = append(all, candidate{c.Name, c.Usage})
	}
	return all
}

// options are the command's and the global ones, by their long names.
func (p *completion) options() []candidate {
	flags := p.line.global
	if p.command != nil {
		flags = append(p.command.VisibleFlags(), flags...)
	}
	var all []candidate
	for _, f := range flags {
		all = append(all, candidate{"--" + f.Names()[0], strings.ReplaceAll(usageOf(f), "`", "")})
	}
	return all
}

// argument is how the help calls the argument that is typed.
func (p *completion) argument() string {
	usage := strings.Fields(p.command.ArgsUsage)
	if n := len(p.line.arguments); n < len(usage) {
		return usage[n]
	}
	return ""
}

// choices are the values of the options that have a few.
var choices = map[string][]string{
	optOutput: {"table", "json"},
	"quiesce": {"require", "try", "no"},
	"state":   orchestrator.States(),
}

func (p *completion) values(ctx context.Context) []candidate {
	if words, ok := choices[p.option.Names()[0]]; ok {
		return plain(words)
	}
	kind, _, _ := strings.Cut(placeholder(p.option), "[")
	return p.named(ctx, kind)
}

// named are the things that the help calls by a kind.
func (p *completion) named(ctx context.Context, kind string) []candidate {
	switch kind {
	case "DOMAIN", "[DOMAIN]":
		return p.ask(ctx, domainNames)
	case "NAME":
		return p.ask(ctx, p.snapshotNames)
	case "TARGET":
		return p.ask(ctx, p.targets)
	default:
		return nil
	}
}

type lookup func(context.Context, *orchestrator.Orchestrator) ([]candidate, error)

// ask asks libvirt, at the URI of the line that is typed.
func (p *completion) ask(ctx context.Context, look lookup) []candidate {
	if p.setGlobals() != nil {
		return nil
	}
	host, err := virt.Connect(ctx, p.c.String(optConnect))
	if err != nil {
		return nil
	}
	// What ends with the program needs no closing, and a daemon that hangs would hang here.
	all, err := look(ctx, orchestrator.New(orchestrator.Config{Hypervisor: host, Methods: builtIn(host), StateDir: p.c.String(optStateDir)}))
	if err != nil {
		return nil
	}
	return all
}

// setGlobals has the global options of the line that is typed count.
func (p *completion) setGlobals() error {
	for words := p.line.globals; len(words) > 0; words = words[1:] {
		name, value, inline := strings.Cut(words[0], "=")
		flag := p.line.wantsValue(name)
		if flag == nil {
			continue
		}
		if !inline && len(words) > 1 {
			value, words = words[1], words[1:]
		}
		if err := p.c.Set(flag.Names()[0], value); err != nil {
			return err
		}
	}
	return nil
}

func domainNames(ctx context.Context, o *orchestrator.Orchestrator) ([]candidate, error) {
	list, err := o.Domains(ctx)
	all := make([]candidate, len(list))
	for i, d := range list {
		all[i] = candidate{d.Domain, string(d.State)}
	}
	return all, err
}

func (p *completion) snapshotNames(ctx context.Context, o *orchestrator.Orchestrator) ([]candidate, error) {
	list, err := o.List(ctx, p.domain())
	all := make([]candidate, len(list))
	for i, s := range list {
		all[i] = candidate{s.Name, strings.TrimSpace(s.Created.Format(time.DateTime) + " " + s.Description)}
	}
	return all, err
}

func (p *completion) targets(ctx context.Context, o *orchestrator.Orchestrator) ([]candidate, error) {
	list, err := o.Targets(ctx, p.domain())
	return plain(list), err
}

// domain is the first argument; no domain has an empty name.
func (p *completion) domain() string {
	if len(p.line.arguments) == 0 {
		return ""
	}
	return p.line.arguments[0]
}

func plain(words []string) []candidate {
	all := make([]candidate, len(words))
	for i, w := range words {
		all[i].word = w
	}
	return all
}
