package nightly

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// night is a host with domains, on which the script runs.
type night struct {
	t       *testing.T
	dir     string
	config  string
	replies map[string][]reply
	domains []map[string]string
}

// outcome is a run of the script.
type outcome struct {
	code        int
	out, errors string
}

func newNight(t *testing.T, config string, domains ...string) *night {
	t.Helper()
	n := &night{t: t, dir: t.TempDir(), config: config, replies: map[string][]reply{}}
	for i, name := range domains {
		n.domains = append(n.domains, map[string]string{"domain": name, "domain_uuid": uuidOf(i)})
	}
	return n
}

// uuidOf is the UUID of the domain of a number.
func uuidOf(i int) string { return fmt.Sprintf("6f1d2c3b-0000-4000-8000-%012d", i) }

func (n *night) path(name string) string { return filepath.Join(n.dir, name) }

func (n *night) write(name string, text []byte) {
	n.t.Helper()
	if err := os.WriteFile(n.path(name), text, 0o600); err != nil {
		n.t.Fatal(err)
	}
}

func (n *night) answers(key string, replies ...reply) { n.replies[key] = replies }

func (n *night) command(args ...string) *exec.Cmd {
	n.t.Helper()
	list, err := json.Marshal(n.domains)
	if err != nil {
		n.t.Fatal(err)
	}
	if _, ok := n.replies["domains"]; !ok {
		n.answers("domains", reply{Out: string(list)})
	}
	replies, err := json.Marshal(n.replies)
	if err != nil {
		n.t.Fatal(err)
	}
	n.write("replies.json", replies)
	n.write("nightly.conf", []byte(strings.ReplaceAll(n.config, "DIR", n.dir)))
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.CommandContext(n.t.Context(), "./domsnap-nightly", append([]string{"--config", n.path("nightly.conf")}, args...)...)
	cmd.Env = append(os.Environ(), "DOMSNAP="+self, fakeDir+"="+n.dir, "DOMSNAP_NIGHTLY_LIB=lib", "DOMSNAP_NIGHTLY_WAIT=0", "DOMSNAP_STATE_DIR="+n.path("state"))
	return cmd
}

func (n *night) run(args ...string) outcome {
	n.t.Helper()
	cmd := n.command(args...)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		n.t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), said.String()}
}

// said are the calls of domsnap but the first, which lists the domains, with the name of the snapshot as NAME.
func (n *night) said() []string {
	var all []string
	for _, c := range readCalls(n.dir)[1:] {
		all = append(all, snapshotName.ReplaceAllString(c.String(), "NAME"))
	}
	return all
}

var snapshotName = regexp.MustCompile(`nightly-\d{8}T\d{6}Z`)

const created = "snapshot-create-as --description taken by domsnap-nightly "

func (n *night) wantCalls(want ...string) {
	n.t.Helper()
	if got := n.said(); !slices.Equal(got, want) {
		n.t.Errorf("called was\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// report is what the script leaves for machines.
type report struct {
	OK      bool
	Failed  int
	Domains []struct {
		Domain      string
		DomainUUID  string `json:"domain_uuid"`
		OK          bool
		Snapshot    string
		FrozenMS    *int `json:"frozen_ms"`
		Recovered   bool
		Exported    []struct{ Target, File string }
		Replicated  []struct{ To, Snapshot string }
		Deleted     []string
		LastSuccess *time.Time `json:"last_success"`
		Errors      []struct {
			Step, Place, Message, Hint string
			Code                       int
		}
	}
}

func (n *night) report() report {
	n.t.Helper()
	text, err := os.ReadFile(n.path("state/nightly/report.json"))
	var r report
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

func want(t *testing.T, got outcome, code int, texts ...string) {
	t.Helper()
	if got.code != code {
		t.Errorf("it ended with %d, want %d: %s%s", got.code, code, got.out, got.errors)
	}
	for _, text := range texts {
		if !strings.Contains(got.out+got.errors, text) {
			t.Errorf("%q is not in %s%s", text, got.out, got.errors)
		}
	}
}

func TestEachDomainIsTakenExportedAndPruned(t *testing.T) {
	n := newNight(t, "keep-daily=7 keep-safety=48h\nweb* quiesce=require descriptor=/d.xml export=DIR/backup keep-last=3\n", "web1", "other")
	got := n.run()
	want(t, got, 0, "1 domain, 0 failed", "ok      web1: nightly-", "of 2 disks, filesystem, guest frozen 812 ms, 2 exported, 2 deleted")
	export := func(target string) string {
		return fmt.Sprintf("snapshot-export --disk %s --file %s --format qcow2 %s NAME", target, n.path("backup/web1/."+target+".part"), uuidOf(0))
	}
	n.wantCalls(created+"--descriptor /d.xml --quiesce require "+uuidOf(0)+" NAME", export("vda"), export("vdb"),
		"snapshot-prune --keep-last 3 --keep-daily 7 --keep-safety 48h "+uuidOf(0))
	r := n.report()
	if d := r.Domains[0]; !r.OK || *d.FrozenMS != 812 || len(d.Deleted) != 2 || d.Exported[1].File != n.path("backup/web1/vdb.qcow2") || d.LastSuccess == nil {
		t.Errorf("the report is %+v", r)
	}
	files, _ := filepath.Glob(n.path("backup/web1/*"))
	if len(files) != 3 {
		t.Errorf("there are %q", files)
	}
}

func TestWithoutARuleNothingIsDeleted(t *testing.T) {
	n := newNight(t, "keep-safety=1h\n*\n", "web1")
	want(t, n.run(), 0)
	n.wantCalls(created + uuidOf(0) + " NAME")
}

func TestOneThatFailsDoesNotStopTheOthers(t *testing.T) {
	n := newNight(t, "* keep-last=1\n", "web1", "web2")
	n.answers("snapshot-create-as "+uuidOf(0), failure(5, "freeze web1: no agent"))
	want(t, n.run(), 1, "2 domains, 1 failed", "FAILED  web1\n        snapshot: freeze web1: no agent (exit 5)\n        hint: do something", "ok      web2")
	n.wantCalls(created+uuidOf(0)+" NAME", created+uuidOf(1)+" NAME", "snapshot-prune --keep-last 1 "+uuidOf(1))
	if r := n.report(); r.OK || r.Failed != 1 || r.Domains[0].Errors[0].Code != 5 || r.Domains[0].LastSuccess != nil {
		t.Errorf("the report is %+v", r)
	}
}

func TestExportThatIsNotThereIsToldAndPruningGoesOn(t *testing.T) {
	n := newNight(t, "* keep-last=1 export=DIR/backup format=raw\n", "web1")
	n.answers("snapshot-export "+uuidOf(0), failure(6, "snapshot-export is not there yet"))
	want(t, n.run(), 1, "FAILED  web1: nightly-", "guest frozen 812 ms, but", "export: snapshot-export is not there yet (exit 6)")
	if calls := n.said(); len(calls) != 3 || !strings.HasPrefix(calls[2], "snapshot-prune") {
		t.Errorf("called was %q", calls)
	}
}

func TestExportThatFailsLeavesTheFileOfTheRunBefore(t *testing.T) {
	n := newNight(t, "* export=DIR/backup\n", "web1")
	want(t, n.run(), 0)
	n.answers("snapshot-export "+uuidOf(0), reply{Out: "{}"}, reply{Out: "{}"}, failure(1, "disk full"))
	want(t, n.run(), 1, "disk full")
	files, _ := filepath.Glob(n.path("backup/web1/*"))
	parts, _ := filepath.Glob(n.path("backup/web1/.*"))
	if len(files) != 3 || len(parts) != 0 {
		t.Errorf("there are %q and %q", files, parts)
	}
}

func TestBusyIsTriedAgain(t *testing.T) {
	busy := failure(4, "another operation holds web1")
	n := newNight(t, "*\n", "web1")
	n.answers("snapshot-create-as "+uuidOf(0), busy, busy, reply{Out: call{verb: "snapshot-info", arguments: []string{uuidOf(0), "nightly-x"}}.good().Out})
	want(t, n.run(), 0, "ok      web1")
	n = newNight(t, "*\n", "web1")
	n.answers("snapshot-create-as "+uuidOf(0), busy)
	want(t, n.run(), 1, "another operation holds web1 (exit 4)")
	if calls := n.said(); len(calls) != 6 {
		t.Errorf("called was %q", calls)
	}
}

func TestUnfinishedWorkIsRecoveredOnce(t *testing.T) {
	unfinished := failure(7, "the revert of web1 was begun")
	good := call{verb: "snapshot-info", arguments: []string{uuidOf(0), "nightly-x"}}.good()
	n := newNight(t, "*\n", "web1")
	n.answers("snapshot-create-as "+uuidOf(0), unfinished, good)
	want(t, n.run(), 0, "unfinished work recovered first")
	n.wantCalls(created+uuidOf(0)+" NAME", "recover "+uuidOf(0), created+uuidOf(0)+" NAME")

	n = newNight(t, "*\n", "web1")
	n.answers("snapshot-create-as "+uuidOf(0), unfinished)
	want(t, n.run(), 1, "the revert of web1 was begun (exit 7)")
	n.wantCalls(created+uuidOf(0)+" NAME", "recover "+uuidOf(0), created+uuidOf(0)+" NAME")

	n = newNight(t, "*\n", "web1")
	n.answers("snapshot-create-as "+uuidOf(0), unfinished)
	n.answers("recover "+uuidOf(0), failure(7, "storage is away"))
	want(t, n.run(), 1, "recover: storage is away (exit 7)", "snapshot: the revert of web1 was begun (exit 7)")

	// What recover has finished was this very snapshot.
	n = newNight(t, "*\n", "web1")
	n.answers("snapshot-create-as "+uuidOf(0), unfinished, failure(6, "there is such a snapshot"))
	want(t, n.run(), 0, "ok      web1")
}

func TestHostileNamesAreData(t *testing.T) {
	names := []string{"$(touch DIR/pwned)", "`touch DIR/pwned`", "a b'\"\\", "-rf", "*", "../../up", "x\x1b[2J\u202ey", "new\nline", "!not", uuidOf(7), "export=/tmp", "x[$(touch DIR/pwned)]", "@"}
	n := newNight(t, "* export=DIR/backup\nmetrics=DIR/m.prom\n")
	for i, name := range names {
		names[i] = strings.ReplaceAll(name, "DIR", n.dir)
		n.domains = append(n.domains, map[string]string{"domain": names[i], "domain_uuid": uuidOf(i)})
	}
	got := n.run()
	want(t, got, 0, "13 domains, 0 failed")
	if strings.ContainsAny(got.out, "\x1b\u202e") || strings.Contains(got.out, "\nline") {
		t.Errorf("it says %q", got.out)
	}
	for i, d := range n.report().Domains {
		if d.Domain != names[i] || d.DomainUUID != uuidOf(i) {
			t.Errorf("reported is %+v", d)
		}
		if want := n.path("backup/" + uuidOf(i)); filepath.Dir(d.Exported[0].File) != want {
			t.Errorf("%q is exported to %q, want %q", d.Domain, d.Exported[0].File, want)
		}
	}
	if _, err := os.Stat(n.path("pwned")); err == nil {
		t.Error("a name was run")
	}
	wantMetrics(t, n.path("m.prom"))
}

func TestHostileTargetIsNoFile(t *testing.T) {
	n := newNight(t, "* export=DIR/backup\n", "web1")
	n.answers("snapshot-create-as "+uuidOf(0), reply{Out: `{"name":"n","consistency":{"level":"crash","frozen_ms":0,"paused_ms":0},"disks":[{"target":"../../x"}]}`})
	want(t, n.run(), 1, "the target ../../x is no name for a file")
}

func TestTwoAtOnceAreRefused(t *testing.T) {
	n := newNight(t, "*\n", "web1")
	n.answers("snapshot-create-as "+uuidOf(0), reply{Wait: n.path("go on"), Out: `{"name":"n","consistency":{"level":"crash","frozen_ms":0,"paused_ms":0},"disks":[]}`})
	first := n.command()
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for len(readCalls(n.dir)) < 2 {
		time.Sleep(10 * time.Millisecond)
	}
	want(t, n.run(), 4, "another run is at work")
	n.write("go on", nil)
	if err := first.Wait(); err != nil {
		t.Error(err)
	}
	want(t, n.run(), 0)
}

func TestAnswerThatIsNoneIsAFailure(t *testing.T) {
	for out, code := range map[string]int{"": 137, "{": 0, "null": 0, "panic: no": 2} {
		n := newNight(t, "*\n", "web1", "web2")
		n.answers("snapshot-create-as "+uuidOf(0), reply{Code: code, Out: out})
		want(t, n.run(), 1, "FAILED  web1", "domsnap snapshot-create-as gave no answer", "ok      web2")
	}
}

func TestFirstPatternThatFitsCounts(t *testing.T) {
	n := newNight(t, "!scratch-*\n"+uuidOf(2)+" keep-last=9\ndb? keep-last=5\nkeep-last=1\n*\n", "scratch-1", "db1", "odd one", "web 1")
	got := n.run("--dry-run")
	want(t, got, 0)
	if got.out != "db1 keep-last=5\nodd\\ one keep-last=9\nweb\\ 1 keep-last=1\n" {
		t.Errorf("it says %q", got.out)
	}
	if len(readCalls(n.dir)) != 1 {
		t.Error("something was done")
	}
}

func TestDomainThatIsNamedAndNotThereIsAFailure(t *testing.T) {
	n := newNight(t, "*\nweb1\nweb2\nweb2 keep-last=1\nno-*\n", "web1")
	want(t, n.run(), 1, "2 domains, 1 failed", "FAILED  web2\n        find: there is no such domain")
}

func TestWrongConfigurationIsRefused(t *testing.T) {
	for config, line := range map[string]string{
		"":                              "chooses no domain",
		"# web1\n":                      "chooses no domain",
		"keep-last=1\n":                 "chooses no domain",
		"web1\n\nweb2 keep-lost=1":      ":3: keep-lost=1",
		"web1 keep-last=$(reboot)":      ":1: keep-last=",
		"web1 keep-last=":               ":1: keep-last=",
		"web1 quiesce=perhaps":          ":1: quiesce=perhaps",
		"web1 export=relative":          ":1: export=relative",
		"web1 report=/r":                ":1: report=/r",
		"web1 keep-safety=long":         ":1: keep-safety=long",
		"web1 two":                      ":1: two",
		"web1 replicate=":               ":1: replicate=",
		"web1 replicate=relative":       ":1: replicate=relative",
		"web1 replicate=ssh://host":     ":1: replicate=ssh://host",
		"web1 replicate=file:/a,b":      ":1: replicate=file:/a,b",
		"web1 replica-keep-lost=1":      ":1: replica-keep-lost=1",
		"web1 replica-keep-safety=1h":   ":1: replica-keep-safety=1h",
		"=1\nweb1":                      ":1: =1",
		"metrics=m.prom\nweb1":          ":1: metrics=m.prom",
		"a[$(touch${IFS}pwned)]=1\nweb": ":1: a[",
	} {
		n := newNight(t, config, "web1")
		want(t, n.run(), 2, line)
		if len(readCalls(n.dir)) > 0 {
			t.Errorf("%q: domsnap was called", config)
		}
	}
	n := newNight(t, "*\n", "web1")
	want(t, n.run("--no-such-option"), 2, "usage:")
}

// TestExampleOfTheConfigurationIsRight: as shipped it chooses nothing, and its example is no prose.
func TestExampleOfTheConfigurationIsRight(t *testing.T) {
	shipped, err := os.ReadFile("nightly.conf")
	if err != nil {
		t.Fatal(err)
	}
	want(t, newNight(t, string(shipped), "db1").run(), 2, "chooses no domain")
	_, example, _ := strings.Cut(string(shipped), "# For example:\n")
	n := newNight(t, strings.ReplaceAll(example, "#", ""), "scratch-1", "db1", "web1")
	got := n.run("--dry-run")
	want(t, got, 0, "db1 ", "descriptor=/etc/domsnap/db.xml", "web1 ")
	if strings.Contains(got.out, "scratch") {
		t.Errorf("it says %q", got.out)
	}
}

func TestLastSuccessGoesOn(t *testing.T) {
	n := newNight(t, "metrics=DIR/m.prom\n*\n", "web1")
	want(t, n.run(), 0)
	before := n.report().Domains[0].LastSuccess
	n.answers("snapshot-create-as "+uuidOf(0), failure(1, "no"))
	want(t, n.run(), 1)
	if after := n.report().Domains[0].LastSuccess; before == nil || after == nil || !after.Equal(*before) {
		t.Errorf("it was %v and is %v", before, after)
	}
	values := wantMetrics(t, n.path("m.prom"))
	labels := `{domain="web1",uuid="` + uuidOf(0) + `"}`
	if values["domsnap_nightly_last_success_timestamp_seconds"+labels] != float64(before.Unix()) || values["domsnap_nightly_success"+labels] != 0 {
		t.Errorf("the metrics are %v", values)
	}
	// A report that is none is no obstacle.
	n.write("state/nightly/report.json", []byte("[1,"))
	want(t, n.run(), 1)
	n.write("state/nightly/report.json", []byte(`["x"]`))
	want(t, n.run(), 1)
}

func TestMetricsSayHowLongTheGuestWasFrozen(t *testing.T) {
	n := newNight(t, "metrics=DIR/m.prom\n*\n", "web1")
	want(t, n.run(), 0)
	values := wantMetrics(t, n.path("m.prom"))
	if values[`domsnap_nightly_frozen_seconds{domain="web1",uuid="`+uuidOf(0)+`"}`] != 0.812 || values["domsnap_nightly_failed_domains"] != 0 {
		t.Errorf("the metrics are %v", values)
	}
	if info, err := os.Stat(n.path("m.prom")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("it is %v, %v", info, err)
	}
	if left, _ := filepath.Glob(n.path(".domsnap*")); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
}

func TestDomainsThatCannotBeListedAreAFailure(t *testing.T) {
	n := newNight(t, "*\n")
	n.answers("domains", failure(1, "libvirt is away"))
	want(t, n.run(), 1, "list domains: libvirt is away")
}

var (
	sample  = regexp.MustCompile(`^([a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\[\\n"])*"(?:,[a-z]+="(?:[^"\\\n]|\\[\\n"])*")*\})? (\S+)$`)
	comment = regexp.MustCompile(`^# (HELP|TYPE) [a-z_]+ \S`)
)

// wantMetrics reads the text format of Prometheus, and fails where it is another.
func wantMetrics(t *testing.T, path string) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values, typed := map[string]float64{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if comment.MatchString(line) {
			typed[strings.Fields(line)[2]] = true
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil || !typed[m[1]] {
			t.Errorf("no metric is %q", line)
			continue
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if _, twice := values[m[1]+m[2]]; twice || err != nil {
			t.Errorf("%q is there twice, or its value is none: %v", line, err)
		}
		values[m[1]+m[2]] = value
	}
	return values
}
