package lvm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

var errKilled = errors.New("killed")

// fakeLVM is a Runner that is a volume group. It keeps what a thin volume contains as a word; a thick one is
// a file below dev.
type fakeLVM struct {
	// method is the one that runs it.
	method  *Method
	dev     string
	volumes map[string]*fakeVolume
	free    int64
	// kill makes the command of that number, and all later ones, fail: before its work if early, after it
	// otherwise. 0 is never. Commands that only read do not count.
	kill  int
	early bool
	count int
	// idle is the number of a command that does nothing and says that it did.
	idle  int
	calls [][]string
	// refuse is a tool that does nothing and fails.
	refuse   string
	statusOf string
}

type fakeVolume struct {
	content, origin, pool  string
	size                   int64
	tags                   []string
	active, skip, auto, ro bool
	open, invalid, merging bool
	layout                 string
	data, metadata         string
	// id is the number in the pool.
	id string
}

func newFake(t *testing.T) (*fakeLVM, *Method) {
	t.Helper()
	f := &fakeLVM{dev: t.TempDir(), free: 1 << 30, volumes: map[string]*fakeVolume{
		"pool0": {layout: "thin,pool", active: true, size: 1 << 30, data: "10.00", metadata: "10.00"},
		"thin":  {layout: "thin,sparse", pool: "pool0", active: true, auto: true, size: 64 << 20, content: "present", tags: []string{"admin"}},
		"thick": {layout: "linear", active: true, auto: true, size: 64 << 20},
	}}
	m := New(f)
	m.dev, m.patience, f.method = f.dev, 0, m
	return f, m
}

func (f *fakeLVM) Run(_ context.Context, tool string, args ...string) ([]byte, error) {
	f.calls = append(f.calls, append([]string{tool}, args...))
	flags, rest := parseArgs(args)
	switch tool {
	case "lvs":
		return f.report("lv", f.rows()), nil
	case "vgs":
		return f.report("vg", []map[string]string{{"pv_name": "/dev/loop0"}}), nil
	case "dmsetup":
		return []byte(f.statusOf), nil
	case "vgcfgbackup":
		return nil, nil
	}
	if f.dying() && f.early {
		return nil, errKilled
	}
	if err := f.change(tool, flags, rest); err != nil {
		return nil, &command.Error{Name: tool, Args: args, Stderr: err.Error(), Err: err}
	}
	if f.dying() {
		return nil, errKilled
	}
	return nil, nil
}

func (f *fakeLVM) dying() bool { return f.kill > 0 && f.count >= f.kill }

func (f *fakeLVM) change(tool string, flags map[string][]string, rest []string) error {
	if tool == f.refuse {
		return errors.New("refused")
	}
	if flags["--test"] != nil || flags["--monitor"] != nil {
		return nil
	}
	f.count++
	if f.kill > 0 && f.count > f.kill {
		return errKilled
	}
	if f.dying() && f.early {
		return errKilled
	}
	if f.count == f.idle {
		return nil
	}
	switch tool {
	case "lvcreate":
		if flags["--snapshot"] == nil {
			return f.allocate(flags)
		}
		return f.create(flags, strings.TrimPrefix(rest[0], "vg/"))
	case "lvconvert":
		return f.convert(strings.TrimPrefix(rest[0], "vg/"), strings.TrimPrefix(rest[1], "vg/"))
	case "lvrename":
		return f.rename(rest[1], rest[2])
	case "lvremove":
		return f.remove(strings.TrimPrefix(rest[0], "vg/"))
	case "lvchange":
		return f.set(flags, strings.TrimPrefix(rest[0], "vg/"))
	}
	return fmt.Errorf("%s: %w", tool, exec.ErrNotFound)
}

func (f *fakeLVM) create(flags map[string][]string, originName string) error {
	object, origin := flags["--name"][0], f.volumes[originName]
	if f.volumes[object] != nil {
		return fmt.Errorf("%s already exists", object)
	}
	if origin == nil {
		return fmt.Errorf("%s not found", originName)
	}
	v := &fakeVolume{content: origin.content, origin: originName, pool: origin.pool, size: origin.size, layout: origin.layout,
		tags: flags["--addtag"], auto: true, ro: flags["--permission"][0] == "r", active: true}
	if skip := flags["--setactivationskip"]; skip != nil {
		v.skip = skip[0] == "y"
		v.active = flags["--activate"] != nil && flags["--activate"][0] == "y"
	}
	if flags["--setautoactivation"] != nil {
		return errors.New("option --setautoactivation is unsupported with snapshots")
	}
	if size := flags["--size"]; size != nil {
		v.size, _ = strconv.ParseInt(strings.TrimSuffix(size[0], "b"), 10, 64)
		v.layout, v.data = "linear", "0.00"
	}
	f.volumes[object] = v
	return nil
}

// allocate makes a plain volume.
func (f *fakeLVM) allocate(flags map[string][]string) error {
	object := flags["--name"][0]
	if f.volumes[object] != nil {
		return fmt.Errorf("%s already exists", object)
	}
	size, err := strconv.ParseInt(strings.TrimSuffix(flags["--size"][0], "b"), 10, 64)
	f.volumes[object] = &fakeVolume{size: size, layout: "linear", tags: flags["--addtag"], auto: true, active: true}
	return err
}

// convert makes a plain volume the snapshot of another one.
func (f *fakeLVM) convert(origin, store string) error {
	v := f.volumes[store]
	if v == nil || f.volumes[origin] == nil || v.origin != "" {
		return fmt.Errorf("cannot make %s a snapshot of %s", store, origin)
	}
	v.origin, v.active, v.data = origin, true, "0.00"
	return nil
}

func (f *fakeLVM) rename(from, to string) error {
	if f.volumes[from] == nil || f.volumes[to] != nil {
		return fmt.Errorf("cannot rename %s to %s", from, to)
	}
	f.volumes[to] = f.volumes[from]
	delete(f.volumes, from)
	for _, v := range f.volumes {
		if v.origin == from {
			v.origin = to
		}
	}
	return nil
}

func (f *fakeLVM) remove(volume string) error {
	if f.volumes[volume] == nil || f.volumes[volume].open {
		return fmt.Errorf("cannot remove %s", volume)
	}
	delete(f.volumes, volume)
	for _, v := range f.volumes {
		if v.origin == volume {
			v.origin = ""
		}
	}
	return nil
}

func (f *fakeLVM) set(flags map[string][]string, volume string) error {
	v := f.volumes[volume]
	if v == nil {
		return fmt.Errorf("%s not found", volume)
	}
	if a := flags["--activate"]; a != nil {
		if err := v.activate(a[0] == "y", flags["--ignoreactivationskip"] != nil); err != nil {
			return err
		}
	}
	if k := flags["--setactivationskip"]; k != nil {
		v.skip = k[0] == "y"
	}
	if a := flags["--setautoactivation"]; a != nil {
		v.auto = a[0] == "y"
	}
	if p := flags["--permission"]; p != nil {
		if v.ro == (p[0] == "r") {
			return fmt.Errorf("permission of %s is so already", volume)
		}
		v.ro = p[0] == "r"
	}
	v.tags = slices.DeleteFunc(v.tags, func(tag string) bool { return slices.Contains(flags["--deltag"], tag) })
	for _, tag := range flags["--addtag"] {
		if !slices.Contains(v.tags, tag) {
			v.tags = append(v.tags, tag)
		}
	}
	return nil
}

func (v *fakeVolume) activate(active, despiteSkip bool) error {
	if active && v.skip && !despiteSkip {
		return nil
	}
	if !active && v.open {
		return errors.New("in use")
	}
	v.active = active
	return nil
}

// rows is what lvs --binary would print.
func (f *fakeLVM) rows() []map[string]string {
	var rows []map[string]string
	for _, n := range slices.Sorted(maps.Keys(f.volumes)) {
		rows = append(rows, f.row(n, f.volumes[n]))
	}
	return rows
}

func (f *fakeLVM) row(n string, v *fakeVolume) map[string]string {
	attr, role := []byte("-wi-a-----"), "public"
	if v.ro {
		attr[1] = 'r'
	}
	if v.merging {
		attr[0] = 'O'
	}
	if v.origin != "" && v.pool == "" {
		role = "public,snapshot,thicksnapshot"
	}
	bit := func(b bool) string { return strconv.Itoa(len(strconv.FormatBool(b))%2 ^ 1) }
	return map[string]string{
		"lv_name": n, "lv_uuid": "x", "lv_size": strconv.FormatInt(v.size, 10), "lv_layout": v.layout, "lv_role": role,
		"lv_attr": string(attr), "lv_active": bit(v.active), "lv_device_open": bit(v.open),
		"lv_skip_activation": bit(v.skip), "lv_autoactivation": bit(v.auto), "lv_snapshot_invalid": bit(v.invalid),
		"lv_merging": "0", "origin": v.origin, "pool_lv": v.pool, "lv_tags": strings.Join(v.tags, ","),
		"data_percent": v.data, "metadata_percent": v.metadata, "vg_free": strconv.FormatInt(f.free, 10), "vg_extent_size": "4194304",
		"thin_id": v.id,
	}
}

func (f *fakeLVM) report(key string, rows []map[string]string) []byte {
	text, _ := json.Marshal(map[string]any{"report": []any{map[string]any{key: rows}}, "log": []any{}})
	return text
}

var valueFlags = []string{"--reportformat", "--units", "--options", "--permission", "--autobackup", "--config", "--devices",
	"--setactivationskip", "--size", "--chunksize", "--name", "--addtag", "--deltag", "--zero", "--wipesignatures", "--activate", "--setautoactivation", "--monitor"}

var bareFlags = []string{"--binary", "--nosuffix", "--snapshot", "--test", "--noudevsync", "--force", "--ignoreactivationskip", "--ignoremonitoring", "--yes"}

// parseArgs takes arguments apart as LVM would. A flag it does not know is under its own name in the rest.
func parseArgs(args []string) (map[string][]string, []string) {
	flags, rest := map[string][]string{}, []string(nil)
	for i := 0; i < len(args); i++ {
		switch {
		case slices.Contains(valueFlags, args[i]) && i+1 < len(args):
			flags[args[i]] = append(flags[args[i]], args[i+1])
			i++
		case slices.Contains(bareFlags, args[i]):
			flags[args[i]] = []string{}
		default:
			rest = append(rest, args[i])
		}
	}
	return flags, rest
}

// checkArgs fails for an argument that LVM would take for a flag and the method did not mean as one.
func (f *fakeLVM) checkArgs(t *testing.T) {
	t.Helper()
	for _, call := range f.calls {
		flags, rest := parseArgs(call[1:])
		for _, values := range flags {
			rest = append(rest, values...)
		}
		for _, arg := range rest {
			if strings.HasPrefix(arg, "-") || arg == "" || strings.ContainsAny(arg, " \n\x00") && !strings.Contains(arg, "/") {
				t.Errorf("%q in %q", arg, call)
			}
		}
	}
}

func fakeDisk(f *fakeLVM, volume string) methods.Disk {
	return methods.Disk{Domain: methods.Domain{Name: "web", UUID: "c7a5fdbd-edaf-9455-926a-d65c16db1809"}, Target: "vda",
		Source: methods.Source{Dev: filepath.Join(f.dev, "vg", volume)}, Format: "raw"}
}

func (f *fakeLVM) plan(t *testing.T, volume, id string) methods.Ref {
	t.Helper()
	ref, err := f.method.Plan(t.Context(), methods.PlanRequest{Disk: fakeDisk(f, volume), ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (f *fakeLVM) take(t *testing.T, volume, id string) methods.Ref {
	t.Helper()
	ref := f.plan(t, volume, id)
	if err := f.method.Take(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// device makes the file that stands for a device.
func (f *fakeLVM) device(t *testing.T, path string, content []byte) {
	t.Helper()
	path = filepath.Join(f.dev, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
