package virt

import (
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
