package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// greetings are first lines that are not as they should be.
var greetings = map[string]func(){
	"greet-hang":    hang,
	"greet-exit":    func() { fmt.Fprintln(os.Stderr, "no module named x"); syscall.Exit(3) },
	"greet-version": func() { fmt.Println(`{"protocol":2,"new":true}`) },
	"greet-none":    func() { fmt.Println(`{}`) },
	"greet-text":    func() { fmt.Println("hello") },
	"greet-cost":    func() { fmt.Println(strings.ReplaceAll(goodGreeting, `"nothing"`, `"little"`)) },
	"greet-trait":   func() { fmt.Println(strings.ReplaceAll(goodGreeting, `"take_cost"`, `"read_disk":true,"take_cost"`)) },
	"greet-verb":    func() { fmt.Println(strings.ReplaceAll(goodGreeting, `"list"`, `"lists"`)) },
	"greet-keep":    func() { fmt.Println(strings.ReplaceAll(goodGreeting, `"revert":true,`, ``)) },
	"greet-summary": func() { fmt.Println(strings.ReplaceAll(goodGreeting, `a test`, `\u001b[2J`)) },
	"greet-long":    func() { fmt.Println(strings.ReplaceAll(goodGreeting, `a test`, strings.Repeat("x", 5<<20))) },
	"greet-name": func() {
		fmt.Println(strings.ReplaceAll(goodGreeting, `"summary"`, `"name":"lvm","mode":"thin","summary"`))
	},
	"without-prepare": func() { fmt.Println(strings.ReplaceAll(goodGreeting, `"prepare":true,`, ``)) },
	"without-probe":   func() { fmt.Println(strings.ReplaceAll(goodGreeting, `,"probe":true`, ``)) },
	"atomic":          func() { fmt.Println(strings.ReplaceAll(goodGreeting, `"take_cost"`, `"atomic":true,"take_cost"`)) },
	"mover": func() {
		fmt.Println(strings.ReplaceAll(goodGreeting, `"take_cost"`, `"moves_source":true,"take_cost"`))
	},
	"moody": func() {
		fmt.Println(strings.ReplaceAll(goodGreeting, `a test`, fmt.Sprint("a test ", os.Getpid())))
	},
}

func TestGreetingThatIsNotRight(t *testing.T) {
	for behaviour, want := range map[string]string{
		"greet-hang": "no answer in", "greet-exit": "exit status 3 .it said: no module named x", "greet-version": "version 2 .* version 1",
		"greet-none": "without a protocol version", "greet-text": "read .*hello", "greet-cost": "unknown cost .little", "greet-trait": "read_disk",
		"greet-verb": "lists", "greet-keep": "keep without", "greet-summary": "not printable", "greet-long": "more than 4194304 bytes",
	} {
		t.Run(behaviour, func(t *testing.T) {
			wantNothingLeft(t)
			m := Load(t.Context(), place(t, behaviour), short)
			for _, err := range []error{methods.CheckHost(t.Context(), m), firstOf(m.Stat(t.Context(), testRef())), firstOf(m.Prepare(t.Context(), nil))} {
				if err == nil || !regexp.MustCompile("engine "+behaviour+": greeting: .*"+want).MatchString(err.Error()) {
					t.Errorf("it says %v, want %s", err, want)
				}
			}
			if m.Traits().Name != behaviour || m.Verbs() != (methods.Verbs{Check: true}) {
				t.Errorf("it is %+v with %+v", m.Traits(), m.Verbs())
			}
		})
	}
}

func firstOf[T any](_ T, err error) error { return err }

func TestNameIsTheFiles(t *testing.T) {
	if tr := load(t, "greet-name").Traits(); tr.Name != "greet-name" || tr.Mode != "" {
		t.Errorf("it calls itself %s %s", tr.Name, tr.Mode)
	}
}

func TestEngineThatChangedSinceItWasLoaded(t *testing.T) {
	wantNothingLeft(t)
	if _, err := load(t, "moody").Stat(t.Context(), testRef()); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("it says %v", err)
	}
}

// spoilers are what an engine does in the place of answering stat.
var spoilers = map[string]func(id int64){
	"hangs":         hangWithChild,
	"no-line-end":   flood(strings.Repeat("x", 64<<10)),
	"endless-lines": flood(`{"id":ID,"progress":{"done":1,"total":2}}` + "\n"),
	"endless-junk":  flood("junk\n"),
	"loud":          func(int64) { _, _ = fmt.Fprint(os.Stderr, strings.Repeat("noise\n", 1<<20/6), "last words"); hang() },
	"not-json":      says("{"),
	"wrong-id":      says(`{"id":77,"result":{"bytes_used":1}}`),
	"no-id":         says(`{"result":{"bytes_used":1}}`),
	"text-id":       says(`{"id":"ID","result":{"bytes_used":1}}`),
	"two-on-line":   says(`{"id":ID,"result":{"bytes_used":1}} {}`),
	"extra":         says(`{"id":ID,"result":{"bytes_used":1}}` + "\nmore"),
	"nothing":       says(`{"id":ID}`),
	"null":          says(`{"id":ID,"result":null}`),
	"both":          says(`{"id":ID,"result":{"bytes_used":1},"error":{"kind":"failed","message":"x"}}`),
	"unknown-field": says(`{"id":ID,"result":{"bytes_used":1,"bytes_free":1}}`),
	"unknown-kind":  says(`{"id":ID,"error":{"kind":"sad","message":"x"}}`),
	"no-message":    says(`{"id":ID,"error":{"kind":"failed"}}`),
	"escape":        says(`{"id":ID,"error":{"kind":"failed","message":"\u001b[2J"}}`),
	"bad-progress":  says(`{"id":ID,"progress":{"done":3,"total":2}}`),
	"exits-0":       exits(0),
	"dies":          func(int64) { fmt.Fprintln(os.Stderr, "Traceback"); fmt.Print(`{"id":`); syscall.Exit(1) },
	"deaf":          func(int64) { _ = os.Stdin.Close(); hang() },
	"missing":       says(`{"id":ID,"result":{}}`),
	"minus-two":     says(`{"id":ID,"result":{"bytes_used":-2}}`),
	"huge":          says(`{"id":ID,"result":{"bytes_used":9223372036854775807}}`),
	"bad-end":       says(`{"id":ID,"result":{"bytes_used":1}}`),
	"stays":         says(`{"id":ID,"result":{"bytes_used":1}}`),
	"heartbeat": func(id int64) {
		for {
			says(`{"id":ID,"progress":{"done":0,"total":0}}`)(id)
			time.Sleep(50 * time.Millisecond)
		}
	},
}

// farewells are what an engine does when its input has ended.
var farewells = map[string]func(){
	"bad-end": func() { fmt.Fprintln(os.Stderr, "cannot flush"); syscall.Exit(4) },
	"stays":   hang,
}

var hostile = map[string]string{
	"hangs": "no answer in 1.5s", "no-line-end": "more than 4194304 bytes", "endless-lines": "a flood of", "endless-junk": "read .*junk",
	"loud": "no answer.*last words", "not-json": "unexpected", "wrong-id": "want an answer to request 1", "no-id": "want an answer to request 1",
	"text-id": "cannot unmarshal", "two-on-line": "more on the line", "extra": "more than it was asked", "nothing": "want one of", "null": "want one of",
	"both": "want one of", "unknown-field": "bytes_free", "unknown-kind": "unknown kind .sad", "no-message": "message is missing",
	"escape": "not printable", "bad-progress": "progress 3 of 2", "exits-0": "ended without an answer", "dies": "exit status 1.*Traceback",
	"deaf": "no answer in", "missing": "bytes_used is missing", "minus-two": "cannot be", "huge": "cannot be", "bad-end": "exit status 4.*cannot flush",
	"stays": "still ran", "heartbeat": "no answer in 1.5s",
}

func TestHostileEngines(t *testing.T) {
	for behaviour := range spoilers {
		if hostile[behaviour] == "" {
			t.Errorf("nobody says what becomes of %s", behaviour)
		}
	}
	for behaviour, want := range hostile {
		t.Run(behaviour, func(t *testing.T) {
			m := load(t, behaviour)
			wantNothingLeft(t)
			start := time.Now()
			_, err := m.Stat(t.Context(), testRef())
			if err == nil || !regexp.MustCompile("(?s)^engine "+behaviour+": (stat|end): .*"+want).MatchString(err.Error()) {
				t.Errorf("it says %v, want %s", err, want)
			}
			if took := time.Since(start); took > short.Greeting+short.Short+short.End+2*time.Second {
				t.Errorf("it took %v", took)
			}
			if err != nil && (len(err.Error()) > 1000 || strings.ContainsRune(err.Error(), '\x1b')) {
				t.Errorf("the error is no line for people: %q", err)
			}
		})
	}
}

// dyingTime is what a process that was killed may take on a host that has much else to do.
const dyingTime = 10 * time.Second

var childLine = regexp.MustCompile(`child (\d+)`)

func TestTimeOutKillsTheWholeGroup(t *testing.T) {
	wantNothingLeft(t)
	_, err := load(t, "hangs").Stat(t.Context(), testRef())
	wantChildGone(t, err)
}

func TestEndOfTheContextKillsTheWholeGroup(t *testing.T) {
	wantNothingLeft(t)
	m := load(t, "hangs")
	m.limits = DefaultLimits()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := m.Stat(ctx, testRef())
	wantKind(t, err, context.DeadlineExceeded)
	wantChildGone(t, err)
}

func wantChildGone(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("it says %v", err)
	}
	found := childLine.FindStringSubmatch(e.Stderr)
	if found == nil {
		t.Fatalf("it said %q", e.Stderr)
	}
	// It was killed, and dies when the kernel comes to it.
	for end := time.Now().Add(dyingTime); alive(found[1]); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("its child %s runs on", found[1])
		}
	}
}

func TestSilenceEndsALongAct(t *testing.T) {
	wantNothingLeft(t)
	m := load(t, "hangs")
	_, err := once[nothing](t.Context(), m, m.act("stat", nothing{}, nil))
	if err == nil || !strings.Contains(err.Error(), "no answer in 700ms") {
		t.Errorf("it says %v", err)
	}
}

func TestProgressKeepsALongActAlive(t *testing.T) {
	wantNothingLeft(t)
	m := load(t, "heartbeat")
	ctx, cancel := context.WithTimeout(t.Context(), 3*short.Silence)
	defer cancel()
	heard := 0
	_, err := once[nothing](ctx, m, m.act("stat", nothing{}, func(int64, int64) { heard++ }))
	wantKind(t, err, context.DeadlineExceeded)
	if heard < 10 {
		t.Errorf("it was heard %d times", heard)
	}
}

// wrongAnswers are results that must not go any further, by verb.
var wrongAnswers = map[string]string{
	"plan":           `{"origin":"o1","size":1}`,
	"plan-control":   `{"name":"a\nb","origin":"o1","size":1}`,
	"plan-long":      `{"name":"` + strings.Repeat("x", 2000) + `","origin":"o1","size":1}`,
	"plan-origin":    `{"name":"n","size":1}`,
	"plan-size":      `{"name":"n","origin":"o"}`,
	"plan-negative":  `{"name":"n","origin":"o","size":-1}`,
	"plan-reserve":   `{"name":"n","origin":"o","size":1,"reserve":-1}`,
	"plan-active":    `{"name":"n","origin":"o","size":1,"active":"/x"}`,
	"plan-method":    `{"name":"n","origin":"o","size":1,"method":"lvm"}`,
	"plan-disk":      `{"name":"n","origin":"o","size":1,"disk":{"target":"vdb"}}`,
	"changes":        `{}`,
	"changes-order":  `{"extents":[[512,512],[0,512]]}`,
	"changes-beyond": `{"extents":[[4096,1]]}`,
	"changes-wrap":   `{"extents":[[1,9223372036854775807]]}`,
	"changes-empty":  `{"extents":[[0,0]]}`,
	"source":         `{"xml":"<source/>","uri":"/x"}`,
	"source-root":    `{"xml":"<disk/>","uri":"/x","format":"raw"}`,
	"source-two":     `{"xml":"<source/><source/>","uri":"/x","format":"raw"}`,
	"source-open":    `{"xml":"<source>","uri":"/x","format":"raw"}`,
	"source-doctype": `{"xml":"<!DOCTYPE a><source/>","uri":"/x","format":"raw"}`,
	"list":           `{}`,
	"list-control":   `{"names":["\u0007"]}`,
	"revert":         `{}`,
	"open":           `{"size":-1}`,
	"read":           `{"data":"MDEy"}`,
	"read-much":      `{"data":"MDEyMzQ1Njc4OTAxMjM0NTY3ODk="}`,
	"read-nothing":   `{}`,
	"read-both":      `{"zeros":true,"data":"MDEyMzQ1Njc4OQ=="}`,
	"read-base64":    `{"data":"!"}`,
	"plan-drop":      `{"renamed":[{"snapshot":"sother","name":"n","origin":"o"}]}`,
	"plan-drop-two":  `{"renamed":[{"snapshot":"stwo","name":"n","origin":"o"},{"snapshot":"stwo","name":"m","origin":"o"}]}`,
	"plan-drop-text": `{"needed_by":[""]}`,
}

func TestWrongAnswersGoNoFurther(t *testing.T) {
	for answer := range wrongAnswers {
		t.Run(answer, func(t *testing.T) {
			m := load(t, "answers-"+answer)
			wantNothingLeft(t)
			if err := use(t, m, answer); err == nil {
				t.Error("it is taken for right")
			} else if e := (*Error)(nil); !errors.As(err, &e) {
				t.Errorf("it does not say whose it is: %v", err)
			}
		})
	}
}

// use calls the verb that the answer is for.
func use(t *testing.T, m *Method, answer string) error {
	ctx, ref := t.Context(), testRef()
	verb, _, _ := strings.Cut(answer, "-")
	if strings.HasPrefix(answer, "plan-drop") {
		verb = "plan-drop"
	}
	switch verb {
	case "plan":
		return firstOf(m.Plan(ctx, methods.PlanRequest{Disk: testDisk(), ID: "sone"}))
	case "plan-drop":
		other := testRef()
		other.Snapshot = "stwo"
		return firstOf(m.PlanDrop(ctx, methods.DropRequest{Ref: ref, Others: []methods.Ref{other}}))
	case "changes":
		return firstOf(m.Changes(ctx, methods.ChangesRequest{From: ref}))
	case "source":
		return firstOf(m.Source(ctx, ref))
	case "list":
		return firstOf(m.List(ctx, testDisk()))
	case "revert":
		return firstOf(m.Revert(ctx, methods.RevertRequest{To: ref}))
	}
	content, err := m.Open(ctx, ref)
	if err != nil {
		return err
	}
	_, err = content.ReadAt(make([]byte, 10), 0)
	if closeErr := content.Close(); closeErr != nil {
		t.Error(closeErr)
	}
	return err
}
