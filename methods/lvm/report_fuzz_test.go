package lvm

import (
	"errors"
	"strings"
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
	"github.com/domsnap/domsnap/methods"
)

// reported is what lvs printed of a thin volume, its pool and a thick snapshot.
const reported = `  {
      "report": [
          {
              "lv": [
                  {"lv_name":"pool0", "lv_uuid":"wVbYHl-QIpx-5RGB-nq1v-fxKm-0vmR-jkq1Yy", "lv_size":"104857600", "lv_layout":"thin,pool", "lv_role":"private", "lv_attr":"twi-aotz--", "lv_active":"1", "lv_device_open":"1", "lv_skip_activation":"0", "lv_autoactivation":"1", "lv_snapshot_invalid":"0", "lv_merging":"0", "origin":"", "pool_lv":"", "lv_tags":"", "data_percent":"1.56", "metadata_percent":"10.94", "vg_free":"310378496", "vg_extent_size":"4194304", "thin_id":""},
                  {"lv_name":"ds-sone-vda", "lv_size":"67108864", "lv_layout":"linear", "lv_role":"public,snapshot,thicksnapshot", "lv_attr":"sri-a-s---", "lv_snapshot_invalid":"-1", "lv_device_open":"-1", "origin":"thick", "lv_tags":"domsnap.snapshot=sone,domsnap.origin=thick", "data_percent":"", "thin_id":"2"}
              ]
          }
      ]
      ,
      "log": [
      ]
  }
`

// FuzzDecodeReport reads lvs and vgs in JSON.
func FuzzDecodeReport(f *testing.F) {
	f.Add([]byte(reported))
	f.Add([]byte(`{"report":[{"vg":[{"pv_name":"/dev/loop0"},{"pv_name":"[unknown]"}]}],"log":[]}`))
	f.Add([]byte(`{"report":[{"lv":[{"lv_name":"root","lv_size":"4194304","origin":"","data_percent":"","lv_tags":"a,b"}]}],"log":[]}`))
	f.Add([]byte(`{"report":[{"lv":[{"lv_size":"-1","data_percent":"1e400","lv_device_open":"-1"}]},{"vg":[]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var volumes []volume
		var err error
		bounds.Within(t, func() { volumes, err = decodeReport[volume](text, "lv") })
		if err != nil && volumes != nil {
			t.Errorf("%v with %v", err, volumes)
		}
		g := group{volumes: volumes}
		for _, v := range volumes[:min(len(volumes), 100)] {
			if !g.has(v.Name) {
				t.Errorf("%q is not found", v.Name)
			}
			v.used()
		}
		bounds.Within(t, func() { _, _ = decodeReport[physicalVolume](text, "vg") })
	})
}

// FuzzReadDelta reads thin_delta: what comes of it is ascending, apart and inside the disk.
func FuzzReadDelta(f *testing.F) {
	f.Add(deltaBegin + `<same begin="0" length="3"/><different begin="3" length="1"/>` + deltaEnd)
	f.Add(deltaBegin + "\n    <left_only begin=\"0\" length=\"1\"/>\n    <right_only begin=\"5\" length=\"18446744073709551610\"/>\n" + deltaEnd + "\n")
	f.Add(`<!DOCTYPE superblock [<!ENTITY a "b">]>` + deltaBegin + `<different begin="-1" length="0"/>` + deltaEnd)
	f.Fuzz(func(t *testing.T, text string) {
		var extents []methods.Extent
		var err error
		bounds.Within(t, func() { extents, err = readDelta(text, 1<<20) })
		if err != nil {
			return
		}
		end := int64(-1)
		for _, e := range extents {
			if e.Offset <= end || e.Length <= 0 || e.End() > 1<<20 {
				t.Errorf("%+v in %v", e, extents)
			}
			end = e.End()
		}
	})
}

// FuzzReadExceptions reads the kernel's list of what a thick snapshot keeps.
func FuzzReadExceptions(f *testing.F) {
	f.Add(storeWith(64<<10, 1, 2))
	f.Add(storeWith(64<<10, 3, 3))
	f.Add([]byte("SnAp\x01\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		var e exceptions
		var err error
		bounds.Within(t, func() { e, err = parseStore(text, 64) })
		if err != nil {
			return
		}
		for _, old := range e.old {
			if old < 0 || old*e.chunk >= 64*cowChunk {
				t.Errorf("chunk %d of %d bytes is beyond the origin", old, e.chunk)
			}
		}
		bounds.Within(t, func() { e.missingFrom(exceptions{chunk: cowChunk, old: e.old}) })
	})
}

// FuzzNames: what is taken for a volume's name is safe as an argument, and in device-mapper's form the same again.
func FuzzNames(f *testing.F) {
	for _, text := range []string{"vg/lv", "vg-lv", "my--vg-lv--1", "-vg/lv", "vg/-lv", "vg/../lv", "/dev/vg/lv", "/dev/mapper/a-b", "/dev/disk/by-id/dm-name-a-b",
		"a---b", "vg/lv/x", "vg/a b", "vg/a\n", "é/é", "1/2", "vg/ds-sone-vda-new"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bounds.Within(t, func() {
			a, errA := parseName(text)
			b, errB := parseMapped(text)
			c, ok := nameInPath("/dev", text)
			for n, found := range map[name]bool{a: errA == nil, b: errB == nil, c: ok} {
				if found {
					checkSafe(t, n)
				}
			}
			if object := objectOf(text, "vda"); object != "" && !strings.HasPrefix(text, object) {
				t.Errorf("%q is of %q", text, object)
			}
		})
	})
}

func checkSafe(t *testing.T, n name) {
	t.Helper()
	again, err := parseMapped(n.mapped())
	if err != nil || again != n || strings.HasPrefix(n.String(), "-") || strings.HasPrefix(n.volume, "-") || strings.ContainsAny(n.group+n.volume, "/ \n\x00'\"@#") {
		t.Errorf("%q is safe as %q, %v", n, again, err)
	}
}

// FuzzToolTexts reads what dmsetup status and thin_delta --version print.
func FuzzToolTexts(f *testing.F) {
	f.Add([]byte("0 131072 snapshot 48/65536 16\n"))
	f.Add([]byte("0 131072 snapshot Invalid\n"))
	f.Add([]byte("thin_delta 1.0.12\n"))
	f.Add([]byte("0.9.0"))
	f.Add([]byte("0 0 snapshot /"))
	f.Fuzz(func(t *testing.T, out []byte) {
		m := New(saying(out))
		bounds.Within(t, func() {
			if err := m.checkStatus(t.Context(), name{"vg", "lv"}); err != nil && !errors.Is(err, methods.ErrBroken) {
				t.Error(err)
			}
			if err := m.checkThinDelta(t.Context()); err != nil && !errors.Is(err, methods.ErrUnsupported) {
				t.Error(err)
			}
		})
	})
}
