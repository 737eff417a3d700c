package methods_test

import (
	"regexp"
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
	"github.com/domsnap/domsnap/methods"
)

var safeName = regexp.MustCompile(`\Ads-[a-z][a-z0-9]{3,31}-[a-z][a-z0-9]{0,15}\z`)

// FuzzObjectName: a name is made of an id and a target that are safe everywhere, and two of them never make one name.
func FuzzObjectName(f *testing.F) {
	for _, pair := range [][2]string{{"sone", "vda"}, {"s1", "vda"}, {"sone\n", "vda"}, {"-one", "vda"}, {"sone", "--help"}, {"sone-vda", "vdb"},
		{"1234", "5"}, {"sone", "vd/a"}, {"sone", "../vda"}, {"söne", "vda"}, {"sone", "vda\n"}, {"", ""}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, id, target string) {
		bounds.Within(t, func() {
			name, err := methods.ObjectName(id, target)
			if err == nil && (!safeName.MatchString(name) || name != "ds-"+id+"-"+target) {
				t.Errorf("%q and %q are %q", id, target, name)
			}
		})
	})
}
