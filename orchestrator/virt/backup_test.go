package virt

import (
	"errors"
	"testing"

	"github.com/domsnap/domsnap/methods"
	fullcopy "github.com/domsnap/domsnap/methods/copy"
	"github.com/domsnap/domsnap/xmlspec"
)

func TestBackupRequestNamesEveryDisk(t *testing.T) {
	d := &xmlspec.Domain{Disks: []xmlspec.Disk{{Target: "vda"}, {Target: "vdb"}}}
	got, err := backupRequest(d, []fullcopy.Target{{Disk: "vdb", File: "/a<b/ds-aaaa-vdb.raw.partial"}})
	want := `<domainbackup mode="push">
  <disks>
    <disk name="vda" backup="no"></disk>
    <disk type="file" name="vdb" backup="yes">
      <driver type="raw"></driver>
      <target file="/a&lt;b/ds-aaaa-vdb.raw.partial"></target>
    </disk>
  </disks>
</domainbackup>`
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestHypervisorWithoutBackupIsUnsupported(t *testing.T) {
	h := connected(t)
	desc, err := look(t, h, "web1").Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Capacity(t.Context(), desc.UUID, "vda"); !errors.Is(err, methods.ErrUnsupported) {
		t.Errorf("capacity: %v", err)
	}
}

func TestAbortOfADomainThatIsGone(t *testing.T) {
	if err := connected(t).AbortBackup(t.Context(), "00000000-0000-4000-8000-000000000001", "/none"); err != nil {
		t.Error(err)
	}
}
