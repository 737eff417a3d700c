package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// request is a line to the engine.
type request struct {
	ID     int64  `json:"id"`
	Verb   string `json:"verb"`
	Params any    `json:"params"`
}

// reply is a line from it: just one of the last three.
type reply[T any] struct {
	ID       *int64    `json:"id"`
	Result   *T        `json:"result"`
	Error    *refusal  `json:"error"`
	Progress *progress `json:"progress"`
}

// progress is how far a long act is, in bytes. A total of 0 is not known.
type progress struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// parseReply reads the answer to the request with this id. It is strict: an engine that says what nobody understands may
// mean what matters.
func parseReply[T any](line []byte, id int64) (reply[T], error) {
	var r reply[T]
	var data []byte
	if _, ok := any(r.Result).(bulky); ok {
		var err error
		if line, data, err = cutData(line); err != nil {
			return r, err
		}
	}
	if err := decode(line, &r); err != nil {
		return r, err
	}
	if r.ID == nil || *r.ID != id {
		return r, fmt.Errorf("want an answer to request %d: %s", id, shorten(line))
	}
	if count(r.Result != nil, r.Error != nil, r.Progress != nil) != 1 {
		return r, fmt.Errorf("want one of result, error and progress: %s", shorten(line))
	}
	if p := r.Progress; p != nil && (p.Done < 0 || p.Total < 0 || p.Total > 0 && p.Done > p.Total) {
		return r, fmt.Errorf("progress %d of %d cannot be", p.Done, p.Total)
	}
	if r.Result != nil && data != nil {
		any(r.Result).(bulky).fill(data)
	}
	return r, nil
}

func decode(line []byte, into any) error {
	if len(line) > maxJSON {
		return fmt.Errorf("a line of more than %d bytes without data: %s", maxJSON, shorten(line))
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read %s: %w", shorten(line), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: there is more on the line", shorten(line))
	}
	return nil
}

func count(all ...bool) int {
	n := 0
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

// shorten quotes the beginning of a line.
func shorten(line []byte) string {
	const most = 80
	if len(line) > most {
		return fmt.Sprintf("%q…", line[:most])
	}
	return fmt.Sprintf("%q", bytes.TrimSpace(line))
}
