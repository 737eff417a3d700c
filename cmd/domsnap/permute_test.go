package main

import (
	"io"
	"strings"
	"testing"
)

func TestOptionsStandAnywhere(t *testing.T) {
	app := newApp(&ui{out: io.Discard, err: io.Discard})
	for _, c := range []struct{ in, want string }{
		{"snapshot-list web1 --tree -o json", "-o json snapshot-list --tree -- web1"},
		{"snapshot-list --tree web1 -o json", "-o json snapshot-list --tree -- web1"},
		{"-o json snapshot-list web1 --tree", "-o json snapshot-list --tree -- web1"},
		{"snapshot-list web1 --output=json", "--output=json snapshot-list -- web1"},
		{"snapshot-list web1 -c qemu:///session", "-c qemu:///session snapshot-list -- web1"},
		{"methods -v -v", "-v -v methods --"},
		{"-v methods -v -q", "-v -v -q methods --"},
		{"snapshot-create web1 -", "snapshot-create -- web1 -"},
		{"snapshot-create-as web1 -- -weird --tree", "snapshot-create-as -- web1 -weird --tree"},
		{"snapshot-create-as web1 --description -x- one", "snapshot-create-as --description -x- -- web1 one"},
		{"snapshot-create-as web1 --description=-x one", "snapshot-create-as --description=-x -- web1 one"},
		{"snapshot-create-as web1 --diskspec vda,method=lvm --diskspec vdb one", "snapshot-create-as --diskspec vda,method=lvm --diskspec vdb -- web1 one"},
		{"disk-revert web1 --force vda one --paused", "disk-revert --force --paused -- web1 vda one"},
		{"snapshot-list web1 --unknown", "snapshot-list --unknown -- web1"},
		{"--unknown snapshot-list web1", "snapshot-list --unknown -- web1"},
		{"snapshot-list web1 -o", "-o snapshot-list -- web1"},
		{"snapshot-list web1 -h", "snapshot-list -h"},
		{"--version", "--version"},
		{"snapshot-list --version", "--version snapshot-list --"},
		{"--help snapshot-list", "snapshot-list --help"},
		{"--help", "--help"},
		{"", ""},
	} {
		args := append([]string{"domsnap"}, strings.Fields(c.in)...)
		if got := strings.Join(permute(app, args)[1:], " "); got != c.want {
			t.Errorf("%q becomes\n%q, want\n%q", c.in, got, c.want)
		}
	}
}
