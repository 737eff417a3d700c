package engine

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

// dataKey begins the only value that is large. Nothing inside of a string looks like it: quotes are escaped there.
var dataKey = []byte(`"data":`)

// cutData takes the value of "data" out of a line, so that the JSON parser, many times slower than a search, does not
// walk through it. It is nil where there is none. What is left is a line as well, and as strictly parsed.
func cutData(line []byte) (rest, data []byte, err error) {
	at := bytes.Index(line, dataKey)
	if at < 0 {
		return line, nil, nil
	}
	at += len(dataKey)
	for at < len(line) && line[at] == ' ' {
		at++
	}
	if at >= len(line) || line[at] != '"' {
		return line, nil, nil
	}
	at++
	length := bytes.IndexByte(line[at:], '"')
	if length < 0 {
		return line, nil, nil
	}
	data = make([]byte, base64.StdEncoding.DecodedLen(length))
	n, err := base64.StdEncoding.Strict().Decode(data, line[at:at+length])
	if err != nil {
		return nil, nil, fmt.Errorf("read data of %s: %w", shorten(line), err)
	}
	return append(line[:at:at], line[at+length:]...), data[:n], nil
}

// bulky is an answer that takes what was cut out.
type bulky interface{ fill(data []byte) }

// fill puts the data in the place of the empty string that was left.
func (a *readAnswer) fill(data []byte) { a.Data = data }
