package lvm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// volumeFields are the columns of lvs that volume decodes.
const volumeFields = "lv_name,lv_uuid,lv_size,lv_layout,lv_role,lv_attr,lv_active,lv_device_open," +
	"lv_skip_activation,lv_autoactivation,lv_snapshot_invalid,lv_merging,origin,pool_lv,lv_tags," +
	"data_percent,metadata_percent,vg_free,vg_extent_size,thin_id"

// volume is a logical volume as lvs reports it.
type volume struct {
	Name            string  `json:"lv_name"`
	UUID            string  `json:"lv_uuid"`
	Size            count   `json:"lv_size"`
	Layout          words   `json:"lv_layout"`
	Role            words   `json:"lv_role"`
	Attr            string  `json:"lv_attr"`
	Active          flag    `json:"lv_active"`
	Open            flag    `json:"lv_device_open"`
	SkipActivation  flag    `json:"lv_skip_activation"`
	AutoActivation  flag    `json:"lv_autoactivation"`
	Invalid         flag    `json:"lv_snapshot_invalid"`
	Merging         flag    `json:"lv_merging"`
	Origin          string  `json:"origin"`
	Pool            string  `json:"pool_lv"`
	ThinID          count   `json:"thin_id"`
	Tags            words   `json:"lv_tags"`
	DataPercent     percent `json:"data_percent"`
	MetadataPercent percent `json:"metadata_percent"`
	GroupFree       count   `json:"vg_free"`
	GroupExtent     count   `json:"vg_extent_size"`
}

func (v volume) thin() bool { return v.Pool != "" && v.Layout.has("thin") }

func (v volume) thickSnapshot() bool { return v.Role.has("thicksnapshot") }

// mergingOrigin: the first letter of the attributes is O while a snapshot is merged into the volume. The
// snapshot itself is hidden then.
func (v volume) mergingOrigin() bool { return strings.HasPrefix(v.Attr, "O") }

// readOnly asks the attributes: the permissions column is unknown while the volume is not active.
func (v volume) readOnly() bool { return len(v.Attr) > 1 && v.Attr[1] == 'r' }

// overflowed: more than all of it was needed once, so what it should have kept is lost.
func (v volume) overflowed() bool { return bool(v.Invalid) || v.DataPercent >= 100 }

func (v volume) used() int64 {
	if v.DataPercent < 0 {
		return -1
	}
	return int64(float64(v.Size) * float64(v.DataPercent) / 100)
}

// group is a volume group as it was at one moment.
type group struct {
	name    string
	volumes []volume
}

func (g group) find(volumeName string) (volume, bool) {
	i := slices.IndexFunc(g.volumes, func(v volume) bool { return v.Name == volumeName })
	if i < 0 {
		return volume{}, false
	}
	return g.volumes[i], true
}

func (g group) has(volumeName string) bool {
	_, ok := g.find(volumeName)
	return ok
}

// thickSnapshotsOf lists those that keep what the origin overwrites.
func (g group) thickSnapshotsOf(origin string) []volume {
	var found []volume
	for _, v := range g.volumes {
		if v.thickSnapshot() && v.Origin == origin {
			found = append(found, v)
		}
	}
	return found
}

// maxRows is more volumes than a group has. A row can take much more room than its text.
const maxRows = 1 << 15

// decodeReport reads the rows named key of an LVM report in JSON.
func decodeReport[T any](text []byte, key string) ([]T, error) {
	if n := bytes.Count(text, []byte("{")); n > maxRows {
		return nil, fmt.Errorf("read LVM report: %d rows are more than %d", n, maxRows)
	}
	var doc struct {
		Report []map[string][]T `json:"report"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read LVM report: %w", err)
	}
	var rows []T
	for _, r := range doc.Report {
		rows = append(rows, r[key]...)
	}
	return rows, nil
}

// count is a whole number; LVM leaves out what does not apply.
type count int64

// UnmarshalJSON reads "4096" or "".
func (c *count) UnmarshalJSON(text []byte) error {
	s := strings.Trim(string(text), `"`)
	if s == "" {
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	*c = count(n)
	return err
}

// percent is -1 where LVM cannot say, as for a volume that is not active.
type percent float64

// UnmarshalJSON reads "12.50" or "".
func (p *percent) UnmarshalJSON(text []byte) error {
	s := strings.Trim(string(text), `"`)
	if s == "" {
		*p = -1
		return nil
	}
	n, err := strconv.ParseFloat(s, 64)
	*p = percent(n)
	return err
}

// flag is false for "0", "" and "-1", which is LVM's "does not apply".
type flag bool

// UnmarshalJSON reads what --binary prints.
func (f *flag) UnmarshalJSON(text []byte) error {
	*f = strings.Trim(string(text), `"`) == "1"
	return nil
}

// words is a list that LVM joins by commas.
type words []string

// UnmarshalJSON reads "thin,sparse" or "".
func (w *words) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	*w = strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
	return nil
}

func (w words) has(word string) bool { return slices.Contains(w, word) }
