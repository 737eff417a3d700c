//go:build lab

package lab

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"libvirt.org/go/libvirt"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func fiveDisks() []Disk {
	var disks []Disk
	for _, k := range Have(QcowFile, ThickLV, ThinLV, BtrfsSubvol, RBD) {
		disks = append(disks, Disk{Kind: k})
	}
	return disks
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestFiveDisks(t *testing.T) {
	ctx := testContext(t)
	d := StartTestDomain(t, Options{Disks: fiveDisks()})
	t.Logf("start of the lab to answering agent: %v", SinceStart())
	sums := map[string]string{}
	for i, v := range d.volumes {
		path := "/mnt/" + v.disk.Target + "/data"
		if err := d.Fill(ctx, path, uint64(i), 1<<20+12345); err != nil {
			t.Fatal(err)
		}
		sums[path] = guestSum(t, d, path)
	}
	reboot(t, d)
	seen := map[string]bool{}
	for path, want := range sums {
		if got := guestSum(t, d, path); got != want {
			t.Errorf("%s is %s after a reboot, was %s", path, got, want)
		}
		seen[want] = true
	}
	if len(seen) != len(sums) {
		t.Errorf("different seeds gave equal data: %v", sums)
	}
}

func guestSum(t *testing.T, d *Domain, path string) string {
	t.Helper()
	sum, err := d.Sum(testContext(t), path)
	if err != nil {
		t.Fatal(err)
	}
	if len(sum) != 64 {
		t.Fatalf("sum of %s is %q", path, sum)
	}
	return sum
}

// reboot also proves that what the host reads from the disks is what the guest left.
func reboot(t *testing.T, d *Domain) {
	t.Helper()
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, v := range d.volumes {
		first, err := d.Checksum(testContext(t), v.disk.Target)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := d.Checksum(testContext(t), v.disk.Target); err != nil || first != second {
			t.Fatalf("checksum of %s changed from %s to %s: %v", v.disk.Target, first, second, err)
		}
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	if err := d.WaitAgent(BootTimeout); err != nil {
		t.Fatal(err)
	}
}

func TestGuestAccess(t *testing.T) {
	d := StartTestDomain(t, Options{Disks: []Disk{
		{Kind: RawFile, FS: "btrfs"}, {Kind: XFSFile, FS: "xfs", Size: 320 << 20}, {Kind: BtrfsFile, FS: NoFS},
		{Target: "sda", Kind: RawFile}, {Target: "sdb", Kind: EmptyCDROM},
	}})
	t.Run("mounts", func(t *testing.T) { checkMounts(t, d) })
	t.Run("files", func(t *testing.T) { checkFiles(t, d) })
	t.Run("errors", func(t *testing.T) { checkErrors(t, d) })
	t.Run("hung agent", func(t *testing.T) { checkOutage(t, d, d.StopAgent) })
	t.Run("killed agent", func(t *testing.T) { checkOutage(t, d, d.KillAgent) })
}

func checkMounts(t *testing.T, d *Domain) {
	mounts, err := d.Control(testContext(t), "grep ^/dev/ /proc/mounts | cut -d' ' -f1-3 | sort | tr '\\n' ';'")
	want := "/dev/sda /mnt/sda ext4;/dev/vda /mnt/vda btrfs;/dev/vdb /mnt/vdb xfs;"
	if err != nil || mounts != want {
		t.Errorf("mounts are %q, want %q: %v", mounts, want, err)
	}
}

func checkFiles(t *testing.T, d *Domain) {
	ctx := testContext(t)
	data := []byte(strings.Repeat("it's\x00\xff\n", 20000))
	if err := d.WriteFile(ctx, "/mnt/vda/it's", data); err != nil {
		t.Fatal(err)
	}
	got, err := d.ReadFile(ctx, "/mnt/vda/it's")
	if err != nil || string(got) != string(data) {
		t.Errorf("read %d bytes back, wrote %d: %v", len(got), len(data), err)
	}
}

func checkErrors(t *testing.T, d *Domain) {
	ctx := testContext(t)
	if _, err := d.Exec(ctx, "echo oops >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("Exec of a failing script: %v", err)
	}
	if _, err := d.Control(ctx, "echo oops; exit 3"); err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("Control of a failing script: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := d.Control(short, "sleep 1000"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Control of a script that hangs: %v", err)
	}
	if _, err := d.Checksum(ctx, "vda"); err == nil {
		t.Error("Checksum of a running domain gave no error")
	}
}

func checkOutage(t *testing.T, d *Domain, stop func(context.Context) error) {
	ctx := testContext(t)
	if err := stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.WaitAgent(time.Second); err == nil {
		t.Error("the agent answers though it was stopped")
	}
	if out, err := d.Control(ctx, "echo alive"); err != nil || out != "alive" {
		t.Errorf("control channel without agent: %q, %v", out, err)
	}
	if err := d.StartAgent(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.WaitAgent(20 * time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestCloseRemovesAll(t *testing.T) {
	if !Running() {
		t.Fatal("not inside the lab: run this test binary by lab run")
	}
	before := inventory(t)
	d, err := NewDomain(Options{Disks: append(fiveDisks(), Disk{Kind: RawFile}, Disk{Kind: BtrfsFile}, Disk{Kind: XFSFile})})
	if err != nil {
		t.Fatal(err)
	}
	if inventory(t) == before {
		t.Error("NewDomain left no trace in the inventory")
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := inventory(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

func TestFailedDomainLeavesNothing(t *testing.T) {
	before := inventory(t)
	disks := append(fiveDisks(), Disk{Kind: RawFile, FS: "fat"})
	if _, err := NewDomain(Options{Disks: disks}); err == nil {
		t.Fatal("NewDomain with an unknown file system gave no error")
	}
	if after := inventory(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// inventory lists all that a domain can leave behind.
func inventory(t *testing.T) string {
	t.Helper()
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	commands := []string{
		"lab-ceph-wait", "rbd ls", "virsh list --all --name",
		"find " + ext4Dir + " " + btrfsDir + " " + xfsDir + " " + stateDir + " " + os.TempDir(),
	}
	if OwnKernel() {
		commands = append(commands, "lvs --noheadings -o name vg0")
	}
	for _, c := range commands {
		words := strings.Fields(c)
		out, err := Command(testContext(t), words[0], words[1:]...)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(out)
	}
	return all.String()
}

func TestNoAgentChannel(t *testing.T) {
	d := NewTestDomain(t, Options{NoAgentChannel: true})
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	if out, err := d.Control(testContext(t), "echo up"); err != nil || out != "up" {
		t.Errorf("control channel: %q, %v", out, err)
	}
	var failed libvirt.Error
	if err := d.WaitAgent(0); !errors.As(err, &failed) {
		t.Errorf("agent without a channel: %v", err)
	}
}
