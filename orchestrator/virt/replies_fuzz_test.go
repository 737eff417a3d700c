package virt

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/digitalocean/go-qemu/qmp/raw"

	"github.com/domsnap/domsnap/integration/bounds"
	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/orchestrator/shield"
	"github.com/domsnap/domsnap/xmlspec"
)

// FuzzAgent reads what a guest says to each command, who may be anybody.
func FuzzAgent(f *testing.F) {
	f.Add(`{"return":5}`)
	f.Add(`{"return":{}}`)
	f.Add(`{"return":"frozen"}`)
	f.Add(`{"return":-1}`)
	f.Add(`{"return":1e99}`)
	f.Add(`{"return":[{"name":"vda1","mountpoint":"/","total-bytes":1020702720,"used-bytes":73728,"type":"ext4","disk":[{"serial":"a","bus-type":"virtio","bus":0,"unit":0,"dev":"/dev/vda1",` +
		`"pci-controller":{"bus":0,"slot":4,"domain":0,"function":0},"target":0}]},{"name":"loop0","mountpoint":"/\u001b[2J","disk":[]}]}`)
	f.Add(`{"return":[{"disk":[{"bus-type":"scsi","target":-1,"unit":99999999999}]},{"disk":null},null]}`)
	f.Add(`{"error":{"class":"CommandNotFound","desc":"\u0000"}}`)
	f.Add(`{"return":[],"return":7}`)
	f.Fuzz(func(t *testing.T, reply string) {
		bounds.Within(t, func() {
			var number filesystemCount
			if err := decodeReply("guest-fsfreeze-freeze", reply, &number); err == nil && (number < 0 || number > maxFilesystems) {
				t.Errorf("%d file systems", number)
			}
			var word string
			_ = decodeReply("guest-fsfreeze-status", reply, &word)
			var systems []filesystem
			if err := decodeReply("guest-get-fsinfo", reply, &systems); err == nil && covered(systems) > len(reply) {
				t.Errorf("%d disks", covered(systems))
			}
		})
	})
}

// FuzzMonitor reads what QEMU says: no disk gets the block node of another, or of another file.
func FuzzMonitor(f *testing.F) {
	f.Add(queryBlock)
	f.Add(`{"return":{},"id":"libvirt-5"}`)
	f.Add(`{"id":"libvirt-5","error":{"class":"GenericError","desc":"Device 'x' has no medium\u001b"}}`)
	f.Add(`{"return":[{"qdev":"/////virtio-disk0","inserted":{"file":"/img/a.qcow2"}},{"qdev":"virtio-disk0","inserted":{"file":"json:{}"}}]}`)
	f.Add(`{"return":null}`)
	f.Add(`{"return":{"nodes":[{"id":1,"name":"libvirt-5-format"},{"id":2,"name":"f"}],"edges":[{"parent":1,"child":2,"name":"file"},{"parent":9,"child":-1,"name":"file"}]}}`)
	f.Fuzz(func(t *testing.T, reply string) {
		d, s := liveDomain(t), qemu.InternalSnapshot{Target: "vda", File: "/img/a.qcow2", Name: "ds-sone-vda", ID: "1"}
		bounds.Within(t, func() {
			said := &transcript{reply: reply}
			if devices, err := blockDevices(said); err == nil {
				if node, err := devices.node(d, s); err == nil && !strings.Contains(reply, "virtio-disk0") {
					t.Errorf("node %q of %s", node, reply)
				}
			}
			checkShieldReads(t, said, d)
			_, _ = internalActions(said, d, []qemu.InternalSnapshot{s})
			_, _ = raw.NewMonitor(said).BlockdevSnapshotDeleteInternalSync("node", &s.ID, &s.Name)
		})
	})
}

// checkShieldReads: a shield takes nothing for the node of the disk that is of another device, or goes through a filter.
func checkShieldReads(t *testing.T, said *transcript, d *xmlspec.Domain) {
	devices, err := blockDevices(said)
	if err != nil {
		return
	}
	found, err := devices.of(d, "vda")
	if err != nil {
		return
	}
	if n, err := found.node("vda"); err == nil && !slices.Contains(plainDrivers, n.Driver) {
		t.Errorf("%+v", n)
	}
	_ = found.place(shield.Overlay{Node: "ds-sone-vda", File: "/s/o.qcow2"}, nil)
	var g blockGraph
	if query(said, "x-debug-query-block-graph", &g) == nil {
		_ = g.below("libvirt-5-format", "file")
	}
}

// FuzzBackupJob reads libvirt's backup job.
func FuzzBackupJob(f *testing.F) {
	f.Add("<domainbackup mode='push'><disks><disk name='vda' backup='yes' type='file' backupmode='full' index='1'><driver type='raw'/><target file='/c/ds-sone-vda.raw.partial'/></disk>" +
		"<disk name='vdb' backup='no'/></disks></domainbackup>")
	f.Add("<domainbackup mode='pull'><server transport='tcp' name='h' port='1'/><disks><disk name='vda' type='block'><scratch dev='/dev/x'/></disk></disks></domainbackup>")
	f.Add("<domainbackup/>")
	f.Fuzz(func(t *testing.T, text string) {
		bounds.Within(t, func() {
			if files, err := filesOf(text); err != nil && files != nil {
				t.Errorf("%q with %v", files, err)
			}
		})
	})
}

// FuzzWithSource points a disk of any XML to another file: the disk that comes of it has that file and no other.
func FuzzWithSource(f *testing.F) {
	f.Add("<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/a'><seclabel model='dac' relabel='no'/></source><target dev='vda'/></disk>", "/b")
	f.Add("<disk type='volume'><source pool='p' volume='v'/><backingStore/></disk>", "/a'b<c>&")
	f.Add("<disk type='network'><source protocol='rbd' name='p/i'/></disk>", "/b\n")
	f.Fuzz(func(t *testing.T, text, path string) {
		bounds.Within(t, func() { checkWithSource(t, text, path) })
	})
}

func TestWorstTexts(t *testing.T) {
	const head = `{"return":[{"disk":[{}`
	for what, text := range map[string][]byte{
		"filesystems": bounds.Stretch(`{"return":[{}`, `,{}`, `]}`),
		"disks":       bounds.Stretch(head, `,{}`, `]}]}`),
		"few objects": bounds.Stretch(head+strings.Repeat(`,{}`, maxAgentObjects-3)+`]},{"disk":[null`, `,null`, `]}]}`),
		"nulls":       bounds.Stretch(`{"return":[null`, `,null`, `]}`),
		"text":        bounds.Stretch(`{"return":"`, `\u0000`, `"}`),
		"number":      bounds.Stretch(`{"return":`, `9`, `}`),
		"nested":      bounds.Nest("[", "]"),
		"deep":        []byte(`{"return":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}"),
		"qdev":        bounds.Stretch(`{"return":[{"qdev":"`, `/`, `"}]}`),
		"xml":         bounds.Stretch("<domainbackup mode='push'><disks>", "<disk/>", "</disks></domainbackup>"),
	} {
		t.Run(what, func(t *testing.T) {
			bounds.Within(t, func() {
				var systems []filesystem
				if decodeReply("guest-get-fsinfo", string(text), &systems) == nil {
					covered(systems)
				}
			})
			bounds.Within(t, func() {
				_, _ = internalActions(&transcript{reply: string(text)}, liveDomain(t), []qemu.InternalSnapshot{{Target: "vda", File: "/img/a.qcow2"}})
			})
			bounds.Within(t, func() { _, _ = filesOf(string(text)) })
		})
	}
}

// checkWithSource leaves out texts that XML cannot hold, or not as they are.
func checkWithSource(t *testing.T, text, path string) {
	t.Helper()
	changed, err := withSource(xmlspec.Disk{Target: "vda", XML: text}, qemu.Image{Path: path, Format: "qcow2"})
	if err != nil || path == "" || strings.ContainsFunc(path, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return
	}
	d, err := xmlspec.ParseDomain("<domain><devices>" + changed + "</devices></domain>")
	if err != nil || len(d.Disks) != 1 {
		t.Fatalf("%s is read as %+v, %v", changed, d, err)
	}
	if got := d.Disks[0]; got.Source.File != path && got.Source.Block != path || got.Format != "qcow2" {
		t.Errorf("%q is %+v in %s", path, got, changed)
	}
}
