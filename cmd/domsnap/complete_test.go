package main

import (
	"strings"
	"testing"
)

// completed are the words that the last one could become.
func completed(t *testing.T, words ...string) []string {
	t.Helper()
	got := invoke(t, append([]string{"complete", "--"}, words...)...)
	if got.code != 0 || got.errors != "" {
		t.Errorf("%q ended with %d and said %q", words, got.code, got.errors)
	}
	var all []string
	for line := range strings.Lines(got.out) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, word)
	}
	return all
}

// TestCompletion: the words are separated by spaces, so a line that ends with one has an empty word to complete.
func TestCompletion(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"snapshot-li", "snapshot-list"},
		{"disk", "disks disk-revert"},
		{"guard", ""},
		{"snapshot-list ", "test"},
		{"snapshot-list te", "test"},
		{"snapshot-list x", ""},
		{"-o json snapshot-list --tree ", "test"},
		{"snapshot-list -c test:///default ", "test"},
		{"snapshot-list -c none:/// ", ""},
		{"snapshot-list --connect=none:/// ", ""},
		{"snapshot-list test ", ""},
		{"snapshot-list --tr", "--tree"},
		{"snapshot-list test --tr", "--tree"},
		{"snapshot-list test --state b", "broken"},
		{"snapshot-list test --state=b", "--state=broken"},
		{"snapshot-create-as test --quiesce ", "require try no"},
		{"snapshot-list --output j", "json"},
		{"-o t", "table"},
		{"check ", "test"},
		{"recover te", "test"},
		{"snapshot-info test ", ""},
		{"snapshot-info none ", ""},
		{"snapshot-revert test one --disk ", "vda"},
		{"disk-revert test ", "vda"},
		{"snapshot-create-as test new", ""},
		{"snapshot-create test ", ""},
		{"no-such-command ", ""},
	} {
		words := strings.Split(c.line, " ")
		if got := strings.Join(completed(t, words...), " "); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.line, got, c.want)
		}
	}
}

func TestCompletionOfNothingIsTheCommands(t *testing.T) {
	if got := completed(t); len(got) < 10 || strings.Contains(strings.Join(got, " "), completeVerb) {
		t.Errorf("it is %q", got)
	}
}
