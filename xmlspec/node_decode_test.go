package xmlspec

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

type everything struct {
	Text    string     `xml:"text,attr"`
	Flag    bool       `xml:"flag,attr"`
	Count   *int       `xml:"count,attr"`
	Small   int8       `xml:"small"`
	Size    uint64     `xml:"size"`
	When    time.Time  `xml:"when"`
	Words   []string   `xml:"word"`
	Inner   *inner     `xml:"inner"`
	Many    []inner    `xml:"many"`
	Kept    *Node      `xml:"kept"`
	Present *struct{}  `xml:"present"`
	Ignored chan error `xml:"-"`
	Odd     float64    `xml:"odd"`
}

type inner struct {
	ID   int64  `xml:"id,attr" domsnap:"required"`
	Body string `xml:",chardata"`
}

func decodeText(t *testing.T, data string, into any) error {
	t.Helper()
	n, err := Parse([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return n.Decode(into)
}

func TestDecodeFills(t *testing.T) {
	var got everything
	err := decodeText(t, `<e text='a' flag='yes' count='0'><small>-7</small><size>18446744073709551615</size>
		<when>2026-11-20T12:00:00Z</when><word>x</word><word/><inner id='1'>body</inner><many id='2'/><many id='3'/>
		<kept k='v'><deep/></kept><present/></e>`, &got)
	if err != nil {
		t.Fatal(err)
	}
	if got.Kept == nil || got.Kept.Path() != "/e/kept" || got.Kept.child("deep") == nil {
		t.Errorf("the kept element is %+v", got.Kept)
	}
	got.Kept = nil
	want := everything{
		Text: "a", Flag: true, Count: new(int), Small: -7, Size: 1<<64 - 1, Words: []string{"x", ""},
		When: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), Inner: &inner{1, "body"},
		Many: []inner{{ID: 2}, {ID: 3}}, Present: &struct{}{},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct{ data, want string }{
		{"<e>\n <size>1</size><other/></e>", "line 2, column 16, /e: unknown element <other>"},
		{"<e other='1'/>", "line 1, column 1, /e: unknown attribute other"},
		{"<e><text/></e>", "line 1, column 4, /e: unknown element <text>"},
		{"<e size='1'/>", "line 1, column 1, /e: unknown attribute size"},
		{"<e> text </e>", "line 1, column 1, /e: text is not allowed here"},
		{"<e><size>1</size><size>2</size></e>", "line 1, column 18, /e: element <size> twice"},
		{"<e><inner id='1'/><inner id='1'/></e>", "line 1, column 19, /e: element <inner> twice"},
		{"<e><inner/></e>", "line 1, column 4, /e/inner: attribute id is missing"},
		{"<e><many id='1'/><many/></e>", "line 1, column 18, /e/many[2]: attribute id is missing"},
		{"<e><inner id='1'><x/></inner></e>", "line 1, column 18, /e/inner: unknown element <x>"},
		{"<e><present x='1'/></e>", "line 1, column 4, /e/present: unknown attribute x"},
		{"<e><present>x</present></e>", "line 1, column 4, /e/present: text is not allowed here"},
		{"<e flag='1'/>", `line 1, column 1, /e: attribute flag: "1" is neither yes nor no`},
		{"<e count=''/>", `line 1, column 1, /e: attribute count: "" is not a whole number of 64 bits`},
		{"<e><small>128</small></e>", `line 1, column 4, /e/small: "128" is not a whole number of 8 bits`},
		{"<e><size>-1</size></e>", `line 1, column 4, /e/size: "-1" is not a whole number from 0 of 64 bits`},
		{"<e><size> 1</size></e>", `line 1, column 4, /e/size: " 1" is not a whole number from 0 of 64 bits`},
		{"<e><size x=''>1</size></e>", "line 1, column 4, /e/size: unknown attribute x"},
		{"<e><size><x/></size></e>", "line 1, column 10, /e/size: unknown element <x>"},
		{"<e><odd>1.5</odd></e>", "line 1, column 4, /e/odd: no text can be read into float64"},
	}
	for _, test := range tests {
		t.Run(test.data, func(t *testing.T) {
			err := decodeText(t, test.data, &everything{})
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestDecodeMissingElement(t *testing.T) {
	var into struct {
		Name string `xml:"name" domsnap:"required"`
	}
	err := decodeText(t, "<e/>", &into)
	if err == nil || err.Error() != "line 1, column 1, /e: element <name> is missing" {
		t.Error(err)
	}
}

func TestDecodeWantsStruct(t *testing.T) {
	for _, into := range []any{nil, inner{}, new(string), (*inner)(nil)} {
		if err := decodeText(t, "<e/>", into); err == nil || !strings.Contains(err.Error(), "want a pointer to a struct") {
			t.Errorf("into %T: got %v", into, err)
		}
	}
}
