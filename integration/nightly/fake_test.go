package nightly

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const fakeDir = "DOMSNAP_FAKE_DIR"

// TestMain is domsnap too, for the script that is tested.
func TestMain(m *testing.M) {
	if dir := os.Getenv(fakeDir); dir != "" {
		os.Exit(fakeDomsnap(dir, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// reply is what the fake answers; one with Wait waits until the file of that name is there.
type reply struct {
	Code int
	Out  string
	Wait string
}

// fakeDomsnap records its arguments and gives the next reply that there is for its verb and domain.
func fakeDomsnap(dir string, args []string) int {
	c := readCall(args)
	before := recordCall(dir, args)
	var replies map[string][]reply
	text, err := os.ReadFile(filepath.Join(dir, "replies.json"))
	if err == nil {
		err = json.Unmarshal(text, &replies)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	list := replies[c.key()]
	if len(list) == 0 {
		list = []reply{c.good()}
	}
	r := list[min(before[c.key()], len(list)-1)]
	for r.Wait != "" {
		if _, err := os.Stat(r.Wait); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if file := c.option("--file"); file != "" && r.Code == 0 {
		if err := os.WriteFile(file, []byte("image"), 0o600); err != nil {
			return 99
		}
	}
	fmt.Println(r.Out)
	return r.Code
}

// recordCall says how often each key was asked for before.
func recordCall(dir string, args []string) map[string]int {
	f, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		panic(err)
	}
	defer f.Close()
	before := map[string]int{}
	for _, c := range readCalls(dir) {
		before[c.key()]++
	}
	if err := json.NewEncoder(f).Encode(args); err != nil {
		panic(err)
	}
	return before
}

func readCalls(dir string) []call {
	text, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		return nil
	}
	var all []call
	for line := range strings.Lines(string(text)) {
		var args []string
		if json.Unmarshal([]byte(line), &args) == nil {
			all = append(all, readCall(args))
		}
	}
	return all
}

// call is one run of domsnap: its verb, its options, and what follows the dashes.
type call struct {
	verb               string
	options, arguments []string
}

// readCall knows the global options that the script gives, all in front.
func readCall(args []string) call {
	i := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") && a != "json" })
	if i < 0 {
		return call{}
	}
	c := call{verb: args[i], options: args[i+1:]}
	if dashes := slices.Index(c.options, "--"); dashes >= 0 {
		c.options, c.arguments = c.options[:dashes], c.options[dashes+1:]
	}
	return c
}

func (c call) key() string {
	if len(c.arguments) == 0 {
		return c.verb
	}
	return c.verb + " " + c.arguments[0]
}

func (c call) option(name string) string {
	if i := slices.Index(c.options, name); i >= 0 && i+1 < len(c.options) {
		return c.options[i+1]
	}
	return ""
}

func (c call) String() string {
	return strings.Join(slices.Concat([]string{c.verb}, c.options, c.arguments), " ")
}

// good is what the verb answers as a rule.
func (c call) good() reply {
	switch c.verb {
	case "snapshot-create-as", "snapshot-info":
		return reply{Out: fmt.Sprintf(`{"domain_uuid":%q,"name":%q,"state":"available","consistency":{"level":"filesystem","frozen_ms":812,"paused_ms":0},
			"disks":[{"target":"vda"},{"target":"vdb"}]}`, c.arguments[0], c.arguments[1])}
	case "snapshot-prune":
		return reply{Out: `{"deleted":["nightly-1","nightly-2"],"pending_delete":[]}`}
	case "replica-list":
		return reply{Out: `[]`}
	case "snapshot-replicate":
		return reply{Out: fmt.Sprintf(`{"name":%q,"base":null,"resumed":false,"bytes_moved":1024}`, c.arguments[1])}
	case "replica-prune":
		return reply{Out: `{"kept":[],"deleted":["nightly-1"]}`}
	case "recover":
		return reply{Out: `{"domains":[]}`}
	default:
		return reply{Out: `{}`}
	}
}

// failure is an error as domsnap tells it.
func failure(code int, message string) reply {
	text, err := json.Marshal(map[string]any{"error": map[string]any{"code": code, "message": message, "hint": "do something"}})
	if err != nil {
		panic(err)
	}
	return reply{Code: code, Out: string(text)}
}
