package suite

import (
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/methodtest"
	"github.com/domsnap/domsnap/xmlspec"
)

func parseSpec(t methodtest.T, text string) methods.Spec {
	t.Helper()
	spec, err := xmlspec.ParseMethodSpec([]byte(text))
	if err != nil {
		t.Fatalf("parse the descriptor: %v", err)
	}
	return spec
}
