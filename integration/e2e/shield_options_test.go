//go:build lab

package e2e

import (
	"encoding/json"
	"regexp"
	"testing"

	"libvirt.org/go/libvirtxml"

	"github.com/domsnap/domsnap/integration/lab"
)

// TestShieldKeepsOptions: disks with threads, caches and limits of their own have them behind the shield too, and as they
// were when it is gone, also when it was not we who took it away.
func TestShieldKeepsOptions(t *testing.T) {
	x := newTorturerOf(t, lab.Options{Disks: small(lab.QcowFile, lab.ThickLV, lab.BtrfsSubvol), Change: withOptions})
	before := objects(t)
	x.boot()
	definition, disks := x.definition(), x.diskOptions()
	x.shieldedRound()
	x.wantOptions(definition, disks)
	v := x.createsRunning("--shield")
	for _, point := range x.whereMoved(v) {
		t.Log(point)
		x.interrupt(point, kill, v.args)
		x.recover(v)
		x.checkNoShield()
		x.wantOptions(definition, disks)
	}
	x.whileShielded(func() {
		if now := x.diskOptions(); now != disks {
			t.Errorf("behind the shield the disks have\n%s\nand had\n%s", now, disks)
		}
	})
	v.check()
	x.wantOptions(definition, disks)
	x.libvirtWorks()
	x.end(before)
}

// withOptions gives the disks threads of their own, and everything else that a block node has besides its image.
func withOptions(d *libvirtxml.Domain) {
	d.IOThreads = 2
	for i, o := range []struct {
		driver libvirtxml.DomainDiskDriver
		limits libvirtxml.DomainDiskIOTune
	}{
		{libvirtxml.DomainDiskDriver{Cache: "none", IO: "native", DetectZeros: "unmap", Discard: "unmap"}, libvirtxml.DomainDiskIOTune{TotalIopsSec: 4000}},
		{libvirtxml.DomainDiskDriver{Cache: "directsync", IO: "threads", DetectZeros: "on", Discard: "ignore"}, libvirtxml.DomainDiskIOTune{WriteBytesSec: 64 << 20}},
		{libvirtxml.DomainDiskDriver{Cache: "writethrough", ErrorPolicy: "report"}, libvirtxml.DomainDiskIOTune{ReadIopsSec: 3000, WriteIopsSec: 2000}},
	} {
		disk, thread := &d.Devices.Disks[i], uint(i%2+1)
		o.driver.Name, o.driver.Type, o.driver.IOThread = disk.Driver.Name, disk.Driver.Type, &thread
		disk.Driver, disk.IOTune, disk.Serial = &o.driver, &o.limits, "serial-"+disk.Target.Dev
	}
}

var moving = regexp.MustCompile(`^before libvirt: QEMU: (transaction|block-commit|job-complete|blockdev-reopen|qom-set)#1$`)

// whereMoved are the points at which disks come onto overlays or off them.
func (x *torturer) whereMoved(v victim) []string {
	x.t.Helper()
	var points []string
	for _, point := range x.points(v) {
		if moving.MatchString(point) {
			points = append(points, point)
		}
	}
	if len(points) != 5 {
		x.t.Fatalf("the disks are moved at %q", points)
	}
	return points
}

// diskOptions is what QEMU, and libvirt of the limits, say of the disks besides their images.
func (x *torturer) diskOptions() string {
	x.t.Helper()
	var devices struct {
		Return []struct {
			QDev     string `json:"qdev"`
			Inserted struct {
				Cache        map[string]bool `json:"cache"`
				DetectZeroes string          `json:"detect_zeroes"`
				IOPS         int             `json:"iops"`
				Written      int             `json:"bps_wr"`
			} `json:"inserted"`
		} `json:"return"`
	}
	check(x.t, json.Unmarshal([]byte(x.qmp(`{"execute":"query-block"}`)), &devices))
	text, err := json.MarshalIndent(devices.Return, "", " ")
	check(x.t, err)
	for _, target := range x.targets {
		text = append(text, tool(x.t, "virsh", "blkdeviotune", x.Name(), target)...)
	}
	return string(text)
}

func (x *torturer) wantOptions(definition, disks string) {
	x.t.Helper()
	if now := x.definition(); now != definition {
		x.t.Fatalf("the domain is\n%s\nand was\n%s", now, definition)
	}
	if now := x.diskOptions(); now != disks {
		x.t.Fatalf("the disks have\n%s\nand had\n%s", now, disks)
	}
}
