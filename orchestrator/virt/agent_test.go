package virt

import (
	"fmt"
	"strings"
	"testing"
)

func TestReplyOfTheAgentIsRead(t *testing.T) {
	var n int
	if err := decodeReply("guest-fsfreeze-thaw", `{"return":4}`, &n); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
	var status string
	if err := decodeReply("guest-fsfreeze-status", `{"return":"frozen","more":1}`, &status); err != nil || status != "frozen" {
		t.Errorf("%q, %v", status, err)
	}
}

func TestReplyOfAGuestThatLiesIsAnError(t *testing.T) {
	for name, reply := range map[string]string{
		"no JSON": "\x00\xff", "another type": `{"return":"four"}`, "half": `{"return":`, "too long": `{"return":4}` + strings.Repeat(" ", maxAgentReply),
	} {
		var n int
		if err := decodeReply("guest-fsfreeze-thaw", reply, &n); err == nil {
			t.Errorf("%s was read as %d", name, n)
		}
	}
}

func TestReplyWithoutTheAnswerIsAnError(t *testing.T) {
	n := -1
	if err := decodeReply("guest-fsfreeze-thaw", `{"error":{"class":"GenericError"}}`, &n); err == nil {
		t.Errorf("it was read as %d", n)
	}
}

// TestOfAFileSystemNothingIsKeptThatTheGuestNames: neither mount points nor device names, whatever is in them.
func TestOfAFileSystemNothingIsKeptThatTheGuestNames(t *testing.T) {
	one := `{"name":"\u001b[2J","mountpoint":"/\u001b[2J/evil","type":"evil","disk":[{"bus-type":"virtio","bus":1,"target":0,"unit":0,"dev":"/dev/evil","serial":"evil"}]}`
	var systems []filesystem
	reply := `{"return":[` + one + strings.Repeat(","+one, 5_000) + `]}`
	if err := decodeReply("guest-get-fsinfo", reply, &systems); err != nil || len(systems) != 5_001 {
		t.Fatalf("%d, %v", len(systems), err)
	}
	if text := fmt.Sprintf("%+v", systems[0]); strings.Contains(text, "evil") || strings.ContainsRune(text, '\x1b') {
		t.Errorf("it keeps %q", text)
	}
	if err := decodeReply("guest-get-fsinfo", `{"return":`+strings.Repeat("[", 1<<20)+`}`, &systems); err == nil {
		t.Error("it reads a million levels")
	}
}
