package command

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// replaced is how encoding/json writes a byte that is not UTF-8; the character itself it writes as it is.
var replaced = regexp.MustCompile(`(^|[^\\])(\\\\)*\\ufffd`)

// JSON writes a value for a program. A text that is not UTF-8 is an error: JSON has no words for it, and the program would
// be told another name.
func JSON(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err == nil && replaced.Match(text) {
		err = fmt.Errorf("write JSON: a text in %.200q is not UTF-8", text)
	}
	return text, err
}
