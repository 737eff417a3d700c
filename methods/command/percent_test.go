package command_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/domsnap/domsnap/methods/command"
)

// told runs a shell script as if it was qemu-img with 2000 bytes to do, and gives what is told of it.
func told(t *testing.T, run command.Runner, script string) ([]string, error) {
	t.Helper()
	var all []string
	p := command.Percent{Total: 2000, Progress: func(done, total int64) { all = append(all, fmt.Sprint(done, "/", total)) }}
	err := p.Run(t.Context(), run, "sh", "-c", script)
	return all, err
}

func TestPercentAreTold(t *testing.T) {
	for script, want := range map[string][]string{
		`printf '    (0.00/100%%)\r    (12.34/100%%)\r    (100.00/100%%)\r\nImage committed.\n'`: {"0/2000", "246/2000", "2000/2000"},
		`printf '    (5'; sleep 0.05; printf '0.00/10'; sleep 0.05; printf '0%%)\r'`:             {"1000/2000"},
		`printf '(50/100%%)'`: nil,
		`printf '(101.00/100%%)\n(-1/100%%)\n%%\n(1e9/100%%)\n(NaN/100%%)\n'`:    nil,
		`yes x | head -c 1000000 | tr -d '\n'; printf '(50/100%%)\r(7/100%%)\r'`: {"140/2000"},
	} {
		if got, err := told(t, command.Host{}, script); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", script, got, err, want)
		}
	}
}

// quiet is a Runner that is no Talker.
type quiet struct{}

func (quiet) Run(context.Context, string, ...string) ([]byte, error) { return nil, nil }

func TestProgramThatFailsOrIsNotHeardOf(t *testing.T) {
	all, err := told(t, command.Host{}, `printf '(50/100%%)\r'; echo no room >&2; exit 3`)
	if err == nil || err.Error() != "run sh: no room" || len(all) != 1 {
		t.Errorf("%q, %v", all, err)
	}
	if all, err := told(t, quiet{}, "exit 1"); err != nil || len(all) != 0 {
		t.Errorf("%q, %v", all, err)
	}
}
