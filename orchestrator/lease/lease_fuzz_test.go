package lease_test

import (
	"os"
	"testing"
	"time"

	"github.com/domsnap/domsnap/orchestrator/lease"
)

// FuzzHolder: a text that is no holder's ends no lease.
func FuzzHolder(f *testing.F) {
	own, err := lease.HolderOf(os.Getpid())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(own))
	f.Add("///0/0")
	f.Add("//boot/-1/1")
	f.Add("host/pid:[1]/boot/999999999999999999999/1")
	f.Fuzz(func(t *testing.T, text string) {
		l := lease.Lease{Holder: lease.Holder(text)}
		if text == string(own) && l.Over(time.Now()) {
			t.Error("it is over while its holder lives")
		}
	})
}
