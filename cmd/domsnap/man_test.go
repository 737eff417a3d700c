package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// manual is the page by its sections, a section of a command by "domsnap COMMAND".
func manual(t *testing.T) map[string]string {
	t.Helper()
	got := invoke(t, "man")
	if got.code != 0 || got.errors != "" {
		t.Fatalf("it ended with %d and said %q", got.code, got.errors)
	}
	sections := map[string]string{}
	for part := range strings.SplitSeq("\n"+strings.ReplaceAll(got.out, `\-`, "-"), "\n.S") {
		title, body, _ := strings.Cut(part, "\n")
		// What is left of .SH or .SS, and the quotes.
		title = strings.Trim(title[min(1, len(title)):], ` "`)
		if words := strings.Fields(title); len(words) > 1 && words[0] == "domsnap" {
			title = words[0] + " " + words[1]
		}
		sections[title] = body
	}
	return sections
}

var (
	helpOption  = regexp.MustCompile(`(?m)^   (--[a-z-]+)[ ,].*  `)
	helpCommand = regexp.MustCompile(`(?m)^   ([a-z][a-z-]*)  +`)
)

func TestManualHasEveryCommandAndOptionOfTheHelp(t *testing.T) {
	page := manual(t)
	help := invoke(t, "--help").out
	wantOptions(t, help, page["GLOBAL OPTIONS"])
	for _, m := range helpCommand.FindAllStringSubmatch(help, -1) {
		section, ok := page["domsnap "+m[1]]
		if !ok {
			t.Errorf("%s is missing", m[1])
		}
		wantOptions(t, invoke(t, m[1], "--help").out, section)
	}
	for _, title := range []string{"SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"} {
		if page[title] == "" {
			t.Errorf("there is no section %s", title)
		}
	}
	if _, ok := page["domsnap "+guardianVerb]; ok {
		t.Error("the guardian is shown")
	}
}

func wantOptions(t *testing.T, help, section string) {
	t.Helper()
	for _, m := range helpOption.FindAllStringSubmatch(help, -1) {
		if m[1] != "--help" && !strings.Contains(section, `\fB`+m[1]+`\fR`) {
			t.Errorf("%s is not in %q", m[1], section)
		}
	}
}

func TestManualIsGoodTroff(t *testing.T) {
	man, err := exec.LookPath("man")
	if err != nil {
		t.Skip("this host has no man")
	}
	cmd := exec.Command(man, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", "-")
	cmd.Stdin = strings.NewReader(invoke(t, "man").out)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil || said.Len() > 0 {
		t.Errorf("%v: %s", err, said.String())
	}
}

func TestRoffReadsBackAsItWas(t *testing.T) {
	for text, want := range map[string]string{
		"--map": `\-\-map`, `a\b`: `a\eb`, ".start": `\&.start`, "'tis": `\&'tis`, "a.b": "a.b",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
