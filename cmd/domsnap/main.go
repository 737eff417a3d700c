// Command domsnap takes snapshots of libvirt domains whose disks live in several storages, and puts them back in
// place.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// version is set when the program is linked.
var version = "dev"

func main() {
	os.Exit(run(os.Args))
}

// run is the whole program: arguments in, exit code out.
func run(args []string) int {
	ui := &ui{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	if err := errors.Join(checkCaller(), leaveBehind()); err != nil {
		return ui.finish(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	app := newApp(ui)
	return ui.finish(app.RunContext(withFailpoints(ctx), permute(app, args)))
}
