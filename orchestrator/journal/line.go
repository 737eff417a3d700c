package journal

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

// decode reads a line, with or without its end.
func decode(line []byte, into any) error {
	body, err := durable.Unseal(line)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// decodeAll reads a file: the intent, and the notes that are whole.
func decodeAll(text []byte) (*Intent, error) {
	first, rest, ended := bytes.Cut(text, []byte("\n"))
	if !ended {
		return nil, fmt.Errorf("%w: it has no whole line", ErrDamaged)
	}
	var i Intent
	if err := decode(first, &i); err != nil {
		return nil, err
	}
	for line := range bytes.Lines(rest) {
		var n Note
		if decode(line, &n) == nil {
			i.Notes = append(i.Notes, n)
		}
	}
	return &i, nil
}
