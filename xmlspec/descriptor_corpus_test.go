package xmlspec

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// The bodies of the built-in methods, as their packages declare them.
type (
	emptyBody struct{}
	qemuBody  struct {
		Mode   qemuMode `xml:"mode,attr"`
		Source *overlay `xml:"source"`
	}
	lvmBody struct {
		Device *struct {
			Path filePath `xml:"path,attr" domsnap:"required"`
		} `xml:"device"`
		Size *struct {
			Percent *uint64 `xml:"percent,attr"`
			Bytes   *uint64 `xml:"bytes,attr"`
		} `xml:"size"`
	}
	copyBody struct {
		Directory *struct {
			Path filePath `xml:"path,attr" domsnap:"required"`
		} `xml:"directory"`
	}
	qemuMode string
)

func (m *qemuMode) UnmarshalText(text []byte) error {
	if *m = qemuMode(text); *m != "external" && *m != "internal" {
		return fmt.Errorf("%q is neither external nor internal", text)
	}
	return nil
}

func decodeBody(d DescriptorDisk) error {
	if d.Spec == nil {
		return nil
	}
	switch d.Spec.Name {
	case "qemu":
		return decodeQemu(d)
	case "lvm":
		return decodeLVM(d)
	case "copy":
		return d.Spec.Decode(&copyBody{})
	case "btrfs", "reflink", "rbd":
		return d.Spec.Decode(&emptyBody{})
	}
	return nil
}

func decodeQemu(d DescriptorDisk) error {
	var body qemuBody
	if err := d.Spec.Decode(&body); err != nil {
		return err
	}
	if body.Mode == "internal" && body.Source != nil {
		return d.Errorf("mode='internal' makes no overlay")
	}
	return nil
}

func decodeLVM(d DescriptorDisk) error {
	var body lvmBody
	if err := d.Spec.Decode(&body); err != nil {
		return err
	}
	if s := body.Size; s != nil && (s.Percent == nil) == (s.Bytes == nil) {
		return d.Errorf("the size is either percent or bytes")
	}
	return nil
}

// readWhole is the descriptor with its bodies.
func readWhole(data []byte) (*Descriptor, error) {
	d, err := ParseDescriptor(data)
	if err != nil {
		return nil, err
	}
	for _, disk := range d.Disks {
		if err := decodeBody(disk); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func corpus(t testing.TB, kind string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", kind, "*.xml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("find the %s documents: %d files, %v", kind, len(files), err)
	}
	return files
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGoodCorpus(t *testing.T) {
	for _, name := range corpus(t, "good") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			d, err := readWhole(readFile(t, name))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(name, ".xml")+".canonical", marshal(t, d))
		})
	}
}

func TestBadCorpus(t *testing.T) {
	for _, name := range corpus(t, "bad") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			_, err := readWhole(readFile(t, name))
			if err == nil {
				t.Fatal("no error")
			}
			golden(t, strings.TrimSuffix(name, ".xml")+".err", []byte(err.Error()+"\n"))
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, name); !bytes.Equal(got, want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func marshal(t testing.TB, d *Descriptor) []byte {
	t.Helper()
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// beyondSchema are bad documents that a RELAX NG validator takes.
var beyondSchema = map[string]string{
	"deep.xml":        "a schema does not count levels below an element that may hold anything",
	"disk-twice.xml":  "a schema does not compare the values of two elements",
	"doctype.xml":     "a document type is gone before the schema is asked",
	"encoding.xml":    "an encoding is gone before the schema is asked",
	"instruction.xml": "a processing instruction is no part of what a schema describes",
	"name-long.xml":   "a schema counts characters, and the limit is in bytes",
}

func TestSchemaAgrees(t *testing.T) {
	good, bad := corpus(t, "good"), corpus(t, "bad")
	valid := xmllint(t, append(bad, good...))
	for _, name := range good {
		if !valid[name] {
			t.Errorf("%s: the schema refuses it", name)
		}
	}
	for _, name := range bad {
		_, excused := beyondSchema[filepath.Base(name)]
		if valid[name] != excused {
			t.Errorf("%s: the schema takes it: %v, expected: %v", name, valid[name], excused)
		}
	}
}

// xmllint tells which files are valid. It exits with an error when one is not.
func xmllint(t *testing.T, files []string) map[string]bool {
	t.Helper()
	if _, err := exec.LookPath("xmllint"); err != nil {
		if testing.Short() {
			t.Skip("xmllint is not here")
		}
		t.Fatal("xmllint is not here: install libxml2-utils, or test with -short")
	}
	rng := filepath.Join(t.TempDir(), "domsnapshot.rng")
	if err := os.WriteFile(rng, []byte(Schema()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command("xmllint", append([]string{"--noout", "--nonet", "--relaxng", rng}, files...)...).CombinedOutput()
	valid := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutSuffix(strings.TrimSpace(line), " validates"); ok {
			valid[name] = true
		}
	}
	return valid
}
