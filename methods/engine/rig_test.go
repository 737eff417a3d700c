package engine

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// TestMain makes this program an engine where it is called like one: what follows the prefix says how it behaves.
func TestMain(m *testing.M) {
	if behaviour, ok := strings.CutPrefix(filepath.Base(os.Args[0]), Prefix); ok {
		behave(behaviour)
		// os.Exit would wait a second for races.
		syscall.Exit(0)
	}
	os.Exit(m.Run())
}

// goodGreeting declares everything.
const goodGreeting = `{"protocol":1,"traits":{"summary":"a test","take_cost":"nothing","revert_cost":"size"},"verbs":` +
	`{"claim":true,"check":true,"prepare":true,"merge":true,"source":true,"changes":true,"revert":true,"keep":true,"list":true,"probe":true}}`

// goodAnswers are results by verb.
var goodAnswers = map[string]string{
	"plan":      `{"name":"n1","origin":"o1","size":4096,"reserve":7,"mode":"fast","lock":"l"}`,
	"plan-keep": `{"name":"n2","origin":"o1","size":4096}`,
	"prepare":   `{}`, "take": `{}`, "finish": `{}`, "drop": `{}`, "close": `{}`, "check": `{}`, "check-revert": `{}`,
	"stat":      `{"bytes_used":5}`,
	"open":      `{"size":10}`,
	"read":      `{"data":"MDEyMzQ1Njc4OQ=="}`,
	"source":    `{"xml":"<source file='/x'/>","uri":"/x","format":"raw"}`,
	"changes":   `{"extents":[[0,512],[512,512],[2048,1]]}`,
	"claim":     `{"rank":1000,"why":"why not"}`,
	"revert":    `{"bytes_written":9}`,
	"plan-drop": `{"needed_by":[],"renamed":[{"snapshot":"stwo","name":"new","origin":"o2"}],"active":""}`,
	"list":      `{"names":["ds-sone-vda"]}`,
	"probe":     `{"changes":true,"revert":true}`,
}

type asked struct {
	ID   int64
	Verb string
}

// behave is an engine that answers well, but for what the behaviour says.
func behave(behaviour string) {
	in := bufio.NewReaderSize(os.Stdin, maxLine)
	if _, err := in.ReadBytes('\n'); err != nil {
		return
	}
	if greet, ok := greetings[behaviour]; ok {
		greet()
	} else {
		fmt.Println(goodGreeting)
	}
	stated := false
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		var r asked
		if err := json.Unmarshal(line, &r); err != nil {
			panic(err)
		}
		stated = stated || r.Verb == "stat"
		if spoil, ok := spoilers[behaviour]; ok && r.Verb == "stat" {
			spoil(r.ID)
		} else if answer, ok := strings.CutPrefix(behaviour, "answers-"); ok && strings.HasPrefix(answer, r.Verb) {
			fmt.Printf(`{"id":%d,"result":%s}`+"\n", r.ID, wrongAnswers[answer])
		} else {
			fmt.Printf(`{"id":%d,"result":%s}`+"\n", r.ID, goodAnswers[r.Verb])
		}
	}
	if last, ok := farewells[behaviour]; ok && stated {
		last()
	}
}

func hang() { time.Sleep(time.Hour) }

// hangWithChild starts a process that outlives it, and says which.
func hangWithChild(int64) {
	c := exec.Command("sleep", "3600")
	if err := c.Start(); err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stderr, "child", c.Process.Pid)
	hang()
}

func flood(line string) func(int64) {
	return func(id int64) {
		text := strings.ReplaceAll(line, "ID", fmt.Sprint(id))
		for {
			if _, err := os.Stdout.WriteString(text); err != nil {
				return
			}
		}
	}
}

func says(line string) func(int64) {
	return func(id int64) { fmt.Println(strings.ReplaceAll(line, "ID", fmt.Sprint(id))) }
}

func exits(code int) func(int64) { return func(int64) { syscall.Exit(code) } }

// short are limits for engines that do not answer.
var short = Limits{Greeting: 3 * time.Second, Short: 1500 * time.Millisecond, Silence: 700 * time.Millisecond, End: 700 * time.Millisecond}

// place makes the test program an engine of this behaviour.
func place(t testing.TB, behaviour string) File {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), Prefix+behaviour)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return File{Name: behaviour, Path: path}
}

func load(t testing.TB, behaviour string) *Method {
	t.Helper()
	m := Load(t.Context(), place(t, behaviour), short)
	if m.broken != nil {
		t.Fatal(m.broken)
	}
	return m
}

func testDisk() methods.Disk {
	return methods.Disk{Target: "vda", Format: "raw", Source: methods.Source{File: "/disk"}, Domain: methods.Domain{Name: "web1"}}
}

func testRef() methods.Ref {
	return methods.Ref{Snapshot: "sone", Method: "x", Disk: testDisk(), Origin: "o1", Name: "n1", Size: 4096}
}

// wantNothingLeft makes sure that no child and no file of ours outlives the test.
func wantNothingLeft(t *testing.T) {
	t.Helper()
	before := files(t)
	t.Cleanup(func() {
		if left := files(t); len(left) > len(before) {
			t.Errorf("files before %q, and after %q", before, left)
		}
		if left := children(t); left != "" {
			t.Errorf("children are left: %s", left)
		}
	})
}

func files(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.Contains(target, "anon_inode") {
			list = append(list, target)
		}
	}
	return list
}

func children(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err == nil && strings.Contains(string(stat), fmt.Sprintf(") S %d ", os.Getpid())) {
			list = append(list, string(stat))
		}
	}
	return strings.Join(list, "; ")
}

// alive says whether a process runs; a zombie that nobody fetches does not.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func wantKind(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("it fails with %v, want %v", err, kind)
	}
}
