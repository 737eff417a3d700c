package lvm

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/argv"
	"github.com/domsnap/domsnap/methods"
)

// lvmGrammars are the options that are given on purpose.
var lvmGrammars = map[string]argv.Grammar{
	"lvs": {Bare: []string{"--binary", "--nosuffix"}, Valued: []string{"--reportformat", "--units", "--options"}},
	"vgs": {Valued: []string{"--reportformat", "--options"}},
	"lvcreate": {Bare: []string{"--yes", "--snapshot", "--test", "--noudevsync", "--ignoreactivationskip"}, Valued: []string{"--zero", "--wipesignatures", "--size",
		"--name", "--addtag", "--permission", "--setactivationskip", "--config", "--devices", "--activate"}},
	"lvconvert": {Bare: []string{"--yes", "--snapshot", "--noudevsync"}, Valued: []string{"--zero", "--chunksize", "--config", "--devices"}},
	"lvchange": {Bare: []string{"--yes", "--ignoreactivationskip", "--ignoremonitoring"}, Valued: []string{"--activate", "--permission", "--monitor", "--addtag", "--deltag", "--setactivationskip",
		"--setautoactivation", "--config"}},
	"lvrename": {}, "lvremove": {Bare: []string{"--force"}}, "vgcfgbackup": {}, "dmsetup": {},
	"thin_delta": {Bare: []string{"--metadata-snap", "--version"}, Valued: []string{"--thin1", "--thin2"}},
}

var (
	safeArgument = regexp.MustCompile(`\A[A-Za-z0-9+_.][A-Za-z0-9+_.-]*(/[A-Za-z0-9+_.][A-Za-z0-9+_.-]*)?\z`)
	safeTag      = regexp.MustCompile(`\A[A-Za-z0-9_+.][A-Za-z0-9_+.=!:&#/-]*\z`)
)

// hostileGroup is a group that has a volume of every name it is asked for, with a tag, a pool and an origin of another.
func hostileGroup(volumeName, hostile string) func(argv.Call) []byte {
	row := func(volume, tags, pool, origin string) map[string]string {
		return map[string]string{"lv_name": volume, "lv_uuid": hostile, "lv_size": "4194304", "lv_layout": "thin,sparse", "lv_attr": "Vwi-a-tz--", "lv_active": "1",
			"lv_tags": tags, "pool_lv": pool, "origin": origin, "data_percent": "1.00", "vg_extent_size": "4194304", "vg_free": "1073741824", "thin_id": "1"}
	}
	volumes, _ := json.Marshal(map[string]any{"report": []any{map[string]any{"lv": []any{
		row(volumeName, hostile, "pool0", hostile), row("ds-stwo-vda", "domsnap.snapshot=stwo,"+hostile, "pool0", volumeName), row("pool0", hostile, "", ""),
	}}}})
	devices := []byte(`{"report":[{"vg":[{"pv_name":"/dev/loop0"}]}]}`)
	return func(c argv.Call) []byte {
		if c.Program == "vgs" {
			return devices
		}
		return volumes
	}
}

// TestHostileNamesOfVolumes: whatever a path, a volume, a tag and a domain are called, LVM gets names that it takes for
// names, or is not run.
func TestHostileNamesOfVolumes(t *testing.T) {
	r := &argv.Recorder{T: t, Grammars: lvmGrammars}
	m, ctx, ran := New(r), t.Context(), 0
	m.patience, m.number = 0, func(string) (string, error) { return "", os.ErrNotExist }
	for name := range argv.Names(100_000 / 4) {
		for _, path := range []string{name, "/dev/" + name, "/dev/vg/" + name, "/dev/mapper/" + name} {
			r.Calls = nil
			wanted, _ := nameInPath("/dev", path)
			r.Output = hostileGroup(wanted.volume, name)
			disk := methods.Disk{Domain: methods.Domain{Name: name, UUID: name}, Target: "vda", Source: methods.Source{Dev: path}, Format: "raw"}
			ref, err := m.Plan(ctx, methods.PlanRequest{Disk: disk, ID: "sone"})
			if err == nil {
				_ = m.Take(ctx, ref)
				to := ref
				to.Snapshot, to.Name = "stwo", wanted.sibling("ds-stwo-vda").String()
				_, _ = m.Revert(ctx, methods.RevertRequest{To: to, Disk: disk, Keep: &ref})
				_ = m.Drop(ctx, methods.DropRequest{Ref: to, Disk: disk})
			} else if len(r.Calls) > 0 && errors.Is(err, methods.ErrUnsupported) {
				t.Errorf("it was run before %v", err)
			}
			for _, c := range r.Calls {
				ran++
				checkVolumeCall(t, c, wanted)
			}
		}
		if t.Failed() {
			t.Fatalf("by %q", name)
		}
	}
	if ran < 30_000 {
		t.Errorf("only %d commands were run", ran)
	}
}

func checkVolumeCall(t *testing.T, c argv.Call, wanted name) {
	t.Helper()
	for _, arg := range c.Rest {
		if !safeArgument.MatchString(arg) || !strings.Contains(arg+"/"+wanted.String(), wanted.group) {
			t.Errorf("%s has the argument %q, of %s", c.Program, arg, wanted)
		}
	}
	for option, values := range c.Options {
		for _, value := range values {
			switch option {
			case "--addtag", "--deltag":
				if !safeTag.MatchString(value) {
					t.Errorf("%s has the tag %q", c.Program, value)
				}
			case "--name":
				if value != "ds-sone-vda" && value != "ds-stwo-vda-new" {
					t.Errorf("%s makes %q", c.Program, value)
				}
			}
		}
	}
}

// TestHostileRecords: what a record says is a volume's name that Plan gives, or nothing is run.
func TestHostileRecords(t *testing.T) {
	r := &argv.Recorder{T: t, Grammars: lvmGrammars, Output: hostileGroup("root", "x")}
	m, ctx := New(r), t.Context()
	m.patience = 0
	for name := range argv.Names(100_000) {
		for _, ref := range []methods.Ref{
			{Snapshot: "stwo", Mode: modeThin, Origin: name, Name: name, Disk: methods.Disk{Target: "vda"}},
			{Snapshot: name, Mode: modeThick, Origin: "vg/root", Name: "vg/" + name, Disk: methods.Disk{Target: "vda"}},
			{Snapshot: "stwo", Mode: modeThin, Origin: "vg/root", Name: "vg/" + name, Disk: methods.Disk{Target: "vda"}},
			{Snapshot: "stwo", Mode: name, Origin: "vg/root", Name: "vg/ds-stwo-vda", Disk: methods.Disk{Target: "vda"}},
			{Snapshot: "stwo", Mode: modeThin, Origin: "vg/root", Name: "vg/ds-stwo-" + name, Disk: methods.Disk{Target: name}},
		} {
			r.Calls = nil
			err := m.Drop(ctx, methods.DropRequest{Ref: ref})
			if ok := safeArgument.MatchString(ref.Name) && safeArgument.MatchString(ref.Origin); len(r.Calls) > 0 && (!ok || ref.Mode != modeThin) {
				t.Fatalf("%+v is dropped by %+v", ref, r.Calls)
			} else if len(r.Calls) == 0 && err == nil {
				t.Fatalf("%+v is dropped by nothing", ref)
			}
		}
	}
}
