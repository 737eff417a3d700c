package main

import (
	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/methods"
)

// laterCommands are promised and not there yet. They answer that, so that a script does not take a spelling mistake for
// it.
func (ui *ui) laterCommands() []*cli.Command {
	var all []*cli.Command
	for _, name := range []string{"snapshot-replicate"} {
		all = append(all, &cli.Command{Name: name, Usage: "not yet", Hidden: true, SkipFlagParsing: true, Action: func(*cli.Context) error {
			return methods.Unsupportedf("%s is not there yet", name)
		}})
	}
	return all
}
