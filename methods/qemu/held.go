package qemu

import (
	"fmt"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// holding is an image and the names of the snapshots inside it. With the file they would go, and under another name
// nobody would find them.
type holding struct {
	path  string
	names []string
}

func (l layer) held() holding {
	h := holding{path: l.Path}
	for _, s := range l.Internal {
		h.names = append(h.names, s.Name)
	}
	return h
}

// holdsNone fails where the image must not be taken away.
func (l layer) holdsNone() error {
	if len(l.Internal) == 0 {
		return nil
	}
	return l.held().blocked()
}

func (h holding) blocked() error {
	return &methods.Blocked{
		What: fmt.Sprintf("%s holds the internal snapshots %s, which would be lost", h.path, strings.Join(h.names, ", ")),
		Hint: "delete those first; qemu-img snapshot -l lists them",
	}
}

// withImages leaves out the snapshots that are inside an image.
func withImages(refs []methods.Ref) []methods.Ref {
	return slices.DeleteFunc(slices.Clone(refs), func(r methods.Ref) bool { return r.Mode == internal })
}
