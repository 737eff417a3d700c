package virt

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/quiesce"
	"github.com/domsnap/domsnap/xmlspec"
)

// definition is a domain for libvirt's test driver, which runs nothing.
const definition = `<domain type='test'><name>web1</name><uuid>6f1d2c3b-0000-4000-8000-000000000001</uuid>
<memory>8192</memory><os><type>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/img/a.qcow2'/><target dev='vda' bus='virtio'/><serial>S1</serial></disk>
<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/vg0/lv'/><target dev='vdb' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
</devices></domain>`

// connected is a host of libvirt's test driver, with the domain web1, off.
func connected(t *testing.T) *Host {
	t.Helper()
	h, err := Connect(t.Context(), "test:///default")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	dom, err := h.conn.DomainDefineXML(definition)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A test may have left it running.
		_ = dom.Destroy()
		if err := errors.Join(dom.Undefine(), dom.Free()); err != nil {
			t.Error(err)
		}
	})
	return h
}

func look(t *testing.T, h *Host, name string) orchestrator.Domain {
	t.Helper()
	d, err := h.Domain(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func describe(t *testing.T, d orchestrator.Domain) *orchestrator.Description {
	t.Helper()
	desc, err := d.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return desc
}

func TestConnectToNothingIsAnError(t *testing.T) {
	if h, err := Connect(t.Context(), "none:///nowhere"); err == nil {
		t.Errorf("it connected; closing: %v", h.Close())
	}
}

func TestDomainIsFoundByNameUUIDAndID(t *testing.T) {
	h := connected(t)
	uuid := describe(t, look(t, h, "test")).UUID
	for _, name := range []string{"test", uuid, "1"} {
		if got := describe(t, look(t, h, name)); got.Name != "test" {
			t.Errorf("%q is domain %s", name, got.Name)
		}
	}
}

func TestDomainThatIsNotThereIsErrNotFound(t *testing.T) {
	h := connected(t)
	for _, name := range []string{"none", "", "4711", "6f1d2c3b-0000-4000-8000-00000000dead", "-rf", "a/b"} {
		if _, err := h.Domain(t.Context(), name); !errors.Is(err, orchestrator.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestDescribeReadsTheDisks(t *testing.T) {
	got := describe(t, look(t, connected(t), "web1"))
	if got.State != orchestrator.Shutoff || !got.Persistent || len(got.Disks) != 3 {
		t.Fatalf("it is described as %+v", got)
	}
	a := got.Disks[0]
	if a.Target != "vda" || a.Format != "qcow2" || a.Cache != "none" || a.Serial != "S1" || a.Source.File != "/img/a.qcow2" {
		t.Errorf("vda is %+v", a)
	}
	if got.Disks[1].Source.Block != "/dev/vg0/lv" || !got.Disks[2].ReadOnly || got.Disks[2].Source != (xmlspec.DiskSource{}) {
		t.Errorf("the others are %+v", got.Disks[1:])
	}
}

func TestMetadataComesBackAsWritten(t *testing.T) {
	for name, start := range map[string]func(orchestrator.Domain) error{
		"off":     func(orchestrator.Domain) error { return nil },
		"running": func(d orchestrator.Domain) error { return d.Start(t.Context(), false) },
	} {
		t.Run(name, func(t *testing.T) {
			d := look(t, connected(t), "web1")
			if err := start(d); err != nil {
				t.Fatal(err)
			}
			wantMetadataComesBack(t, d)
		})
	}
}

func wantMetadataComesBack(t *testing.T, d orchestrator.Domain) {
	t.Helper()
	if text, err := d.Metadata(t.Context()); err != nil || text != "" {
		t.Errorf("before the first write: %q, %v", text, err)
	}
	want := xmlspec.Lineage{Current: "sone", Snapshots: []xmlspec.LineageSnapshot{{
		ID: "sone", Name: `a "b" <c> & 'd'`, Level: "crash", Disks: []xmlspec.LineageDisk{{Target: "vda", Method: "qemu", Name: "/img/{a}"}},
	}}}
	for range 2 {
		writeLineage(t, d, &want)
	}
	text, err := d.Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := xmlspec.ParseLineage(text)
	if err != nil || len(got.Snapshots) != 1 || got.Snapshots[0].Name != want.Snapshots[0].Name || got.Snapshots[0].Disks[0].Name != "/img/{a}" {
		t.Errorf("it comes back as %s, %v", text, err)
	}
}

func writeLineage(t *testing.T, d orchestrator.Domain, l *xmlspec.Lineage) {
	t.Helper()
	text, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetMetadata(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

func TestMetadataWrittenWhileRunningSurvivesPowerOff(t *testing.T) {
	d := look(t, connected(t), "web1")
	if err := d.Start(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	writeLineage(t, d, &xmlspec.Lineage{Current: "sone", Snapshots: []xmlspec.LineageSnapshot{{ID: "sone", Name: "one"}}})
	if err := d.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text, err := d.Metadata(t.Context()); err != nil || !strings.Contains(text, "sone") {
		t.Errorf("afterwards it is %q, %v", text, err)
	}
}

func TestPauseAndResume(t *testing.T) {
	d := look(t, connected(t), "web1")
	if err := d.Start(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		do   func() error
		want orchestrator.State
	}{
		{func() error { return d.Resume(t.Context()) }, orchestrator.Running},
		{func() error { return d.Pause(t.Context()) }, orchestrator.Paused},
		{func() error { return d.Resume(t.Context()) }, orchestrator.Running},
		{func() error { return d.Resume(t.Context()) }, orchestrator.Running},
	} {
		if err := c.do(); err != nil {
			t.Error(err)
		}
		if got := describe(t, d).State; got != c.want {
			t.Errorf("it is %s, want %s", got, c.want)
		}
	}
}

func TestPower(t *testing.T) {
	d := look(t, connected(t), "web1")
	for _, c := range []struct {
		name string
		do   func() error
		want orchestrator.State
	}{
		{"power off when off", func() error { return d.PowerOff(t.Context()) }, orchestrator.Shutoff},
		{"start", func() error { return d.Start(t.Context(), false) }, orchestrator.Running},
		{"power off", func() error { return d.PowerOff(t.Context()) }, orchestrator.Shutoff},
	} {
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := describe(t, d).State; got != c.want {
			t.Errorf("%s: it is %s, want %s", c.name, got, c.want)
		}
	}
}

func TestGuestWithoutAnAgentIsPausedInstead(t *testing.T) {
	d := look(t, connected(t), "web1")
	if err := d.Start(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	var during orchestrator.State
	act := func() error { during = describe(t, d).State; return nil }
	report, err := hold(t, d, act)
	if err != nil || during != orchestrator.Paused || report.Level != quiesce.Crash || len(report.Notes) == 0 {
		t.Errorf("%+v, %v; it was %s", report, err, during)
	}
	if got := describe(t, d).State; got != orchestrator.Running {
		t.Errorf("afterwards it is %s", got)
	}
}

func TestCancelledCallIsNotMade(t *testing.T) {
	h := connected(t)
	d := look(t, h, "web1")
	ctx, cancel := cancelled(t)
	defer cancel()
	for name, call := range map[string]func() error{
		"connect":  func() error { _, err := Connect(ctx, "test:///default"); return err },
		"describe": func() error { _, err := d.Describe(ctx); return err },
		"pause":    func() error { return d.Pause(ctx) },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := cancelled(t)
		defer cancel()
		made := false
		err := boundedDo(ctx, func() error { made = true; return nil })
		synctest.Wait()
		if made || !errors.Is(err, context.Canceled) {
			t.Errorf("made: %v, %v", made, err)
		}
	})
}

// A call that is waited for never ends here, and then nothing goes on in the bubble, which fails the test.
func TestCancelledCallIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		given := make(chan struct{})
		call := func() error {
			cancel()
			<-given
			return nil
		}
		if err := boundedDo(ctx, call); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		close(given)
	})
}

func TestCallIsMadeAgainOnAnotherConnectionOnly(t *testing.T) {
	errDead := errors.New("broken pipe")
	for _, c := range []struct {
		connections []int // that there are, one after the other
		calls       []int
		err         error
	}{
		{[]int{1}, []int{1}, nil},
		{[]int{0, 0}, []int{0}, errDead},
		{[]int{0, 1}, []int{0, 1}, nil},
		{[]int{0, -1}, []int{0, -1}, errDead},
	} {
		var calls []int
		left := c.connections
		connect := func() (int, error) { conn := left[0]; left = left[1:]; return conn, nil }
		got, err := again(connect, func(conn int) (int, error) {
			calls = append(calls, conn)
			if conn <= 0 {
				return 0, errDead
			}
			return conn, nil
		})
		if !errors.Is(err, c.err) || err == nil && got != calls[len(calls)-1] || !slices.Equal(calls, c.calls) {
			t.Errorf("%+v: got %d by %v, %v", c, got, calls, err)
		}
	}
}

func TestVolumeOfAPool(t *testing.T) {
	h := connected(t)
	if _, err := h.Volume(t.Context(), "none", "none"); err == nil {
		t.Error("a pool that is not there has a volume")
	}
	if _, err := h.Volume(t.Context(), "default-pool", "none"); err == nil {
		t.Error("a volume that is not there was found")
	}
}

func TestSavedMemoryIsSeen(t *testing.T) {
	h := connected(t)
	d := look(t, h, "web1")
	if describe(t, d).Saved {
		t.Error("a domain that was never on has its memory saved")
	}
	if err := d.Start(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	dom := d.(*Domain).dom
	if err := dom.ManagedSave(0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := dom.ManagedSaveRemove(0); err != nil {
			t.Error(err)
		}
	}()
	if got := describe(t, d); !got.Saved || got.State != orchestrator.Shutoff {
		t.Errorf("it is described as %+v", got)
	}
}

func TestEndingIsHowTheDomainCameToBeOff(t *testing.T) {
	h := connected(t)
	d := look(t, h, "web1")
	raw, err := h.conn.LookupDomainByName("web1")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Free()
	ended := func(end func() error, want orchestrator.Ending) {
		t.Helper()
		if err := errors.Join(raw.Create(), end()); err != nil {
			t.Fatal(err)
		}
		if desc := describe(t, d); desc.State != orchestrator.Shutoff || desc.Ending != want {
			t.Errorf("it is %s, by %q, want %q", desc.State, desc.Ending, want)
		}
	}
	ended(raw.Destroy, orchestrator.EndDown)
	ended(raw.Shutdown, orchestrator.EndDown)
	ended(func() error { return raw.Save(t.TempDir() + "/memory") }, orchestrator.EndAway)
	for reason, want := range map[libvirt.DomainShutoffReason]orchestrator.Ending{
		libvirt.DOMAIN_SHUTOFF_UNKNOWN: orchestrator.EndUnknown, libvirt.DOMAIN_SHUTOFF_FAILED: orchestrator.EndUnknown,
		libvirt.DOMAIN_SHUTOFF_MIGRATED: orchestrator.EndAway, libvirt.DOMAIN_SHUTOFF_CRASHED: orchestrator.EndDown,
	} {
		if got := endingOf(reason); got != want {
			t.Errorf("%v is %q, want %q", reason, got, want)
		}
	}
}
