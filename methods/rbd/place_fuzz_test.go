package rbd

import "testing"

// FuzzParseOrigin: what is taken for an image is written the same again.
func FuzzParseOrigin(f *testing.F) {
	for _, origin := range []string{"pool/image", "pool/space/image", "pool//image", "a/b@c", "/", "a/b/c/d"} {
		f.Add(origin)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		image, err := parseOrigin(origin)
		if err != nil {
			return
		}
		if again, err := parseOrigin(image.String()); err != nil || again.String() != image.String() || image.Pool == "" || image.Image == "" {
			t.Errorf("%q is %+v, and that is %+v, %v", origin, image, again, err)
		}
	})
}
