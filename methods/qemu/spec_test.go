package qemu_test

import (
	"encoding/xml"
	"fmt"
)

// fill decodes the options as the descriptor's decoder does.
func fill(into any, s someSpec) error {
	text := fmt.Sprintf("<diskSnapshot mode='%s'/>", s["mode"])
	if file, ok := s["file"]; ok {
		text = fmt.Sprintf("<diskSnapshot><source file='%s'/></diskSnapshot>", file)
	}
	return xml.Unmarshal([]byte(text), into)
}
