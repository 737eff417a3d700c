package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// What a manual page has besides what the help says.
var (
	//go:embed manual/begin.1
	manBegin string
	//go:embed manual/end.1
	manEnd string
)

// manCommand prints the manual page domsnap(1). Its commands and options are those of the help, so that it stays true.
func (ui *ui) manCommand() *cli.Command {
	return &cli.Command{
		Name: "man", Hidden: true, Usage: "print the manual page",
		Action: func(c *cli.Context) error {
			var page bytes.Buffer
			writeManual(&page, c.App)
			_, err := page.WriteTo(ui.out)
			return err
		},
	}
}

func writeManual(w io.Writer, app *cli.App) {
	fmt.Fprintf(w, ".TH DOMSNAP 1 \"\" \"domsnap %s\" \"domsnap\"\n", roff(app.Version))
	fmt.Fprintf(w, ".SH NAME\ndomsnap \\- %s\n", roff(app.Usage))
	fmt.Fprint(w, manBegin, ".SH GLOBAL OPTIONS\n")
	for _, f := range app.VisibleFlags() {
		writeOption(w, f)
	}
	fmt.Fprint(w, ".SH COMMANDS\n")
	for _, c := range app.VisibleCommands() {
		writeCommand(w, c)
	}
	fmt.Fprint(w, manEnd)
}

func writeCommand(w io.Writer, c *cli.Command) {
	fmt.Fprintf(w, ".SS \"domsnap %s\"\n", strings.ReplaceAll(roff(strings.TrimSpace(c.Name+" "+c.ArgsUsage)), `"`, `\(dq`))
	fmt.Fprintln(w, roff(sentence(c.Usage)))
	for line := range strings.Lines(c.Description) {
		fmt.Fprintln(w, roff(strings.TrimSpace(line)))
	}
	for _, f := range c.VisibleFlags() {
		writeOption(w, f)
	}
}

func writeOption(w io.Writer, f cli.Flag) {
	names := make([]string, 0, 2)
	for _, n := range f.Names() {
		names = append(names, `\fB`+roff(dashes(n))+`\fR`)
	}
	fmt.Fprint(w, ".TP\n", strings.Join(names, ", "))
	if takesValue(f) {
		fmt.Fprintf(w, " \\fI%s\\fR", roff(orValue(placeholder(f))))
	}
	fmt.Fprint(w, "\n", roff(usageWithDefault(f)), "\n")
}

func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

func usageWithDefault(f cli.Flag) string {
	text := sentence(strings.ReplaceAll(usageOf(f), "`", ""))
	doc, ok := f.(cli.DocGenerationFlag)
	if !ok || !takesValue(f) {
		return text
	}
	if value := doc.GetValue(); value != "" && value != "0" && value != "0s" {
		text += " Default: " + value + "."
	}
	if variables := doc.GetEnvVars(); len(variables) > 0 {
		text += " Environment: " + strings.Join(variables, ", ") + "."
	}
	return text
}

func usageOf(f cli.Flag) string {
	if doc, ok := f.(cli.DocGenerationFlag); ok {
		return doc.GetUsage()
	}
	return ""
}

// placeholder is what the help calls an option's value; empty where it has no name for it.
func placeholder(f cli.Flag) string {
	_, after, _ := strings.Cut(usageOf(f), "`")
	name, _, _ := strings.Cut(after, "`")
	return name
}

func orValue(name string) string {
	if name == "" {
		return "VALUE"
	}
	return name
}

// sentence is a usage as the help has it, with a capital and a full stop.
func sentence(usage string) string {
	if usage == "" {
		return ""
	}
	return strings.ToUpper(usage[:1]) + usage[1:] + "."
}

// roff is a text as troff reads it back.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "~", `\(ti`, "^", `\(ha`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + text
	}
	return text
}
