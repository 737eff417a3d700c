// Command table prints what became of the checks of all methods.
//
// usage: table DIR
//
// DIR is where DOMSNAP_SUITE_DIR pointed to when the methods' tests ran.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/domsnap/domsnap/methods/methodtest"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: table DIR")
	}
	rows, err := methodtest.ReadRows(args[0])
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("there is nothing in %s: set %s when the tests run", args[0], methodtest.DirVariable)
	}
	return methodtest.PrintTable(out, rows)
}
