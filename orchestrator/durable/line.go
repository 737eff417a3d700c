package durable

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrDamaged: a line is not as it was written. No crash does that; a disk or a person did.
var ErrDamaged = errors.New("the checksum differs")

// Seal makes a line: the SHA-256 of the value's JSON, in hexadecimal, a space, and the JSON.
func Seal(value any) ([]byte, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s %s\n", digest(body), body), nil
}

// Unseal gives the JSON of a line, with or without its end. It fails with ErrDamaged.
func Unseal(line []byte) ([]byte, error) {
	sum, body, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if digest(body) != string(sum) {
		return nil, ErrDamaged
	}
	return body, nil
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
