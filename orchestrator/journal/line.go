package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// A line is the SHA-256 of a value's JSON, in hexadecimal, a space, and the JSON.

// encode makes a line.
func encode(value any) ([]byte, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s %s\n", digest(body), body), nil
}

// decode reads a line, with or without its end.
func decode(line []byte, into any) error {
	sum, body, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if digest(body) != string(sum) {
		return fmt.Errorf("%w: the checksum differs", ErrDamaged)
	}
	if err := json.Unmarshal(body, into); err != nil {
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

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
