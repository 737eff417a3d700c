package virt

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/digitalocean/go-qemu/qmp"
	"github.com/digitalocean/go-qemu/qmp/raw"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/qemu"
	"github.com/domsnap/domsnap/xmlspec"
)

// transcript answers every command with the same reply.
type transcript struct {
	reply string
	said  []string
}

func (*transcript) Connect() error    { return nil }
func (*transcript) Disconnect() error { return nil }

func (t *transcript) Run(command []byte) ([]byte, error) {
	t.said = append(t.said, string(command))
	return []byte(t.reply), refusal([]byte(t.reply))
}

func (*transcript) Events(context.Context) (<-chan qmp.Event, error) {
	return nil, qmp.ErrEventsNotSupported
}

// What QEMU says of a virtio disk, a SCSI disk that is filtered, an IDE disk and an empty drive.
const queryBlock = `{"return":[
{"device":"","qdev":"/machine/peripheral/virtio-disk0/virtio-backend","inserted":{"node-name":"libvirt-2-format","file":"/img/a.qcow2","drv":"qcow2","new":{"x":[1]}}},
{"device":"","qdev":"scsi0-0-0-1","inserted":{"node-name":"libvirt-CoR-sdb","file":"/img/b.qcow2","drv":"copy-on-read"}},
{"device":"","qdev":"ide0-0-1","removable":true}],"id":"libvirt-12"}`

func liveDomain(t *testing.T) *xmlspec.Domain {
	t.Helper()
	d, err := xmlspec.ParseDomain(`<domain type='qemu'><name>web1</name><devices>
<disk type='file' device='disk'><source file='/img/a.qcow2'/><target dev='vda' bus='virtio'/><alias name='virtio-disk0'/></disk>
<disk type='file' device='disk'><source file='/img/b.qcow2'/><target dev='sdb' bus='scsi'/><alias name='scsi0-0-0-1'/></disk>
<disk type='file' device='cdrom'><target dev='hdb' bus='ide'/><alias name='ide0-0-1'/></disk>
<disk type='file' device='disk'><source file='/img/c.qcow2'/><target dev='vdc' bus='virtio'/><alias name='virtio-disk'/></disk>
<disk type='file' device='disk'><source file='/img/d.qcow2'/><target dev='vdd' bus='virtio'/></disk>
</devices></domain>`)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTransactionNamesTheTopmostNodeOfEachDisk(t *testing.T) {
	snapshots := []qemu.InternalSnapshot{
		{Target: "vda", File: "/img/a.qcow2", Name: "ds-sone-vda"}, {Target: "sdb", File: "/img/b.qcow2", Name: "ds-sone-sdb"},
	}
	m := &transcript{reply: queryBlock}
	actions, err := internalActions(m, liveDomain(t), snapshots)
	if err != nil {
		t.Fatal(err)
	}
	m.reply = `{"return":{},"id":"libvirt-13"}`
	if err := raw.NewMonitor(m).Transaction(actions, nil); err != nil {
		t.Fatal(err)
	}
	want := `{"arguments":{"actions":[` +
		`{"data":{"device":"libvirt-2-format","name":"ds-sone-vda"},"type":"blockdev-snapshot-internal-sync"},` +
		`{"data":{"device":"libvirt-CoR-sdb","name":"ds-sone-sdb"},"type":"blockdev-snapshot-internal-sync"}]},"execute":"transaction"}`
	if len(m.said) != 2 || m.said[0] != `{"execute":"query-block"}` || m.said[1] != want {
		t.Errorf("QEMU was told %q, want %s", m.said, want)
	}
}

func TestDiskThatQEMUHasOtherwiseIsNotTouched(t *testing.T) {
	for target, file := range map[string]string{"vda": "/img/over.qcow2", "hdb": "/img/x.qcow2", "vdc": "/img/c.qcow2", "vdd": "/img/d.qcow2", "vdz": "/img/z"} {
		m := &transcript{reply: queryBlock}
		_, err := internalActions(m, liveDomain(t), []qemu.InternalSnapshot{{Target: target, File: file, Name: "ds-sone-" + target}})
		if err == nil {
			t.Errorf("%s was found", target)
		}
		if blocked := target == "vda" || target == "hdb"; errors.Is(err, methods.ErrBlocked) != blocked {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestRefusalOfQEMUIsAnError(t *testing.T) {
	m := &transcript{reply: `{"id":"libvirt-14","error":{"class":"GenericError","desc":"Snapshot with name 'x' already exists"}}`}
	err := raw.NewMonitor(m).Transaction(nil, nil)
	var refused *qmpError
	if !errors.As(err, &refused) || refused.Class != "GenericError" || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("it is %v", err)
	}
	for _, reply := range []string{"", "no JSON", `{"return":`} {
		if err := refusal([]byte(reply)); err == nil {
			t.Errorf("%q was read", reply)
		}
	}
}

func TestReplyOfAnotherShapeIsAnError(t *testing.T) {
	if got, err := blockDevices(&transcript{reply: `{"return":{"x":1}}`}); err == nil {
		t.Errorf("it was read as %v", got)
	}
	var typed *json.UnmarshalTypeError
	if _, err := blockDevices(&transcript{reply: `{"return":[{"qdev":1}]}`}); !errors.As(err, &typed) {
		t.Errorf("it is %v", err)
	}
}

func TestMonitorOfADomainWithoutQEMUIsAnError(t *testing.T) {
	h := connected(t)
	uuid := describe(t, look(t, h, "web1")).UUID
	snapshot := qemu.InternalSnapshot{Target: "vda", File: "/img/a.qcow2", Name: "ds-sone-vda", ID: "1"}
	if _, err := h.ReadyInternal(t.Context(), uuid, []qemu.InternalSnapshot{snapshot}); err == nil {
		t.Error("it is ready")
	}
	if err := h.DropInternal(t.Context(), uuid, snapshot); err == nil {
		t.Error("it was dropped")
	}
}
