package xmlspec

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
)

// limits are what a document may be at most that is not read strictly: one that libvirt hands out, with what others put
// into it.
type limits struct {
	bytes, elements, depth int
	// disks and images are how many elements there may be that describe a disk, and an image below one or a disk.
	disks, images int
}

// domainLimits: libvirt itself sends no longer texts, and follows no chain of more than 200 images, each of which is an
// element inside the one above.
var domainLimits = limits{bytes: 4 << 20, elements: 50_000, depth: 256, disks: 1024, images: 5000}

// DecodeLibvirt fills one of libvirtxml's structs from a document of libvirt's. One that is larger than libvirt's can be
// is an error.
func DecodeLibvirt(doc string, into any) error { return domainLimits.decode(doc, into) }

// decode is xml.Unmarshal that stops at the limits. The decoder itself has none: it goes down as deep as the document,
// and what it makes of an empty element may have a hundred times its size.
func (l limits) decode(doc string, into any) error {
	if len(doc) > l.bytes {
		return fmt.Errorf("the document is larger than %d bytes", l.bytes)
	}
	return xml.NewTokenDecoder(&limited{Decoder: xml.NewDecoder(strings.NewReader(doc)), left: l}).Decode(into)
}

// limited reads tokens until a limit is reached.
type limited struct {
	*xml.Decoder
	left limits
}

// Token implements xml.TokenReader.
func (r *limited) Token() (xml.Token, error) {
	token, err := r.RawToken()
	switch t := token.(type) {
	case xml.StartElement:
		// An error beside a token would not be seen.
		if err := r.begin(t.Name.Local); err != nil {
			return nil, err
		}
	case xml.EndElement:
		r.left.depth++
	}
	return token, err
}

func (r *limited) begin(name string) error {
	r.left.elements--
	r.left.depth--
	switch name {
	case "disk":
		r.left.disks--
		r.left.images--
	case "backingStore":
		r.left.images--
	}
	switch {
	case r.left.elements < 0:
		return errors.New("the document has too many elements")
	case r.left.depth < 0:
		return errors.New("its elements nest too deep")
	case r.left.disks < 0, r.left.images < 0:
		return errors.New("it has too many disks, or images below them")
	}
	return nil
}
