package journal

import (
	"path/filepath"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

const suffix = ".journal"

func nameOf(uuid string) string { return filepath.Base(uuid) + suffix }

// files is the journal in a directory.
type files struct{ durable.Directory }

func (f files) begin(i Intent) error {
	line, err := durable.Seal(i)
	if err != nil {
		return err
	}
	return durable.Replace(f, nameOf(i.UUID), line)
}

// note begins with the end of a line: what a crash has torn before stays a line of its own.
func (f files) note(uuid string, n Note) error {
	line, err := durable.Seal(n)
	if err != nil {
		return err
	}
	return durable.Write(f.Append, nameOf(uuid), append([]byte("\n"), line...))
}

func (f files) pending(uuid string) (*Intent, error) {
	text, err := f.ReadFile(nameOf(uuid))
	if err != nil {
		return nil, err
	}
	return decodeAll(text)
}

func (f files) end(uuid string) error { return durable.Remove(f, nameOf(uuid)) }
