package rbd

import (
	"encoding/xml"
	"net"
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
	"github.com/domsnap/domsnap/methods"
)

// FuzzParseOrigin: what is taken for an image is written the same again.
func FuzzParseOrigin(f *testing.F) {
	for _, origin := range []string{"pool/image", "pool/space/image", "pool//image", "a/b@c", "/", "a/b/c/d", "-p/--image", "p/é", "p/a\nb", "p/a:b=c\\", "p/json:{}"} {
		f.Add(origin)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		bounds.Within(t, func() {
			image, err := parseOrigin(origin)
			if err != nil {
				return
			}
			if again, err := parseOrigin(image.String()); err != nil || again.String() != image.String() || image.Pool == "" || image.Image == "" {
				t.Errorf("%q is %+v, and that is %+v, %v", origin, image, again, err)
			}
		})
	})
}

// FuzzParseIDs reads the note of a snapshot's elders, which anybody may have put into the image's metadata.
func FuzzParseIDs(f *testing.F) {
	for _, text := range []string{none, "", "4", "4 5 18446744073709551615", "18446744073709551616", "-1", "4,5", " 4 ", "0x4", "none 4"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bounds.Within(t, func() {
			ids, ok := parseIDs(text)
			if !ok {
				return
			}
			again, ok := parseIDs(formatIDs(ids))
			if !ok || len(again) != len(ids) || !containsAll(again[:min(len(again), 50)], ids[:min(len(ids), 50)]) {
				t.Errorf("%q is %v, and that is %v", text, ids, again)
			}
		})
	})
}

// FuzzMapped reads what the kernel's driver says of a device.
func FuzzMapped(f *testing.F) {
	f.Add("rbd", "", "image", "-")
	f.Add("rbd", "space", "image", "snap")
	f.Add("", "", "a/b@c", "-")
	f.Add("-p", "--", "\x00", "-")
	f.Fuzz(func(t *testing.T, pool, space, image, snap string) {
		bounds.Within(t, func() {
			found, err := checkMapped("/dev/rbd0", methods.RBDImage{Pool: pool, Namespace: space, Image: image}, snap)
			if err == nil && (checkNames(found) != nil || snap != "-") {
				t.Errorf("it is %+v", found)
			}
		})
	})
}

// FuzzSource writes an image as a <source>: it reads as the same.
func FuzzSource(f *testing.F) {
	f.Add("p/i", "mon:6789", "/etc/ceph/ceph.conf", "admin")
	f.Add("p/s/i", "[::1]:3300", "a'b<c>&", "a:b")
	f.Add("p/i", "a]b", "\n", "@")
	f.Fuzz(func(t *testing.T, origin, monitor, config, user string) {
		bounds.Within(t, func() {
			ref := methods.Ref{Snapshot: "sone", Origin: origin, Name: origin + "@ds-sone-vda", Disk: methods.Disk{Target: "vda",
				Source: methods.Source{RBD: &methods.RBDImage{Monitors: []string{monitor}, Config: config, User: user}}}}
			s, err := New().Source(t.Context(), ref)
			if err != nil {
				return
			}
			var read source
			if err := xml.Unmarshal([]byte(s.XML), &read); err != nil || len(read.Hosts) != 1 {
				t.Fatalf("%s is read as %+v, %v", s.XML, read, err)
			}
			if _, _, err := net.SplitHostPort(monitor); err == nil && read.Hosts[0].Name+read.Hosts[0].Port == "" && monitor != ":" {
				t.Errorf("the monitor %q is %+v", monitor, read.Hosts[0])
			}
		})
	})
}
