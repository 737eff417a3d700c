package request

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

const uuid = "6f1d2c3b-0000-4000-8000-000000000001"

func revertToOne() Revert {
	return Revert{
		Domain: "web1", UUID: uuid, Snapshot: "sone", Name: "one", Disks: []string{"vda"}, Map: []Move{{"vdb", "vdc"}},
		After: "running", NoSafety: true, Verify: true, Asked: time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC),
	}
}

func TestRequestIsKeptUntilItIsRemoved(t *testing.T) {
	s := Store{Dir: t.TempDir() + "/at-shutdown"}
	for range 2 {
		if r, err := s.Get(uuid); r != nil || err != nil {
			t.Errorf("without one it is %v, %v", r, err)
		}
		if err := s.Put(revertToOne()); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(uuid)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(revertToOne(), *got); diff != "" {
			t.Error(diff)
		}
		if list, err := s.Domains(); err != nil || cmp.Diff([]string{uuid}, list) != "" {
			t.Errorf("there are %q, %v", list, err)
		}
		if err := errors.Join(s.Remove(uuid), s.Remove(uuid)); err != nil {
			t.Error(err)
		}
	}
}

func TestDamagedRequestIsSaid(t *testing.T) {
	of := func(change func(*Revert)) []byte {
		r := revertToOne()
		change(&r)
		text, err := durable.Seal(r)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	whole := of(func(*Revert) {})
	for name, text := range map[string][]byte{
		"empty": nil, "torn": whole[:100], "changed": []byte(strings.Replace(string(whole), "sone", "stwo", 1)),
		"another's":  of(func(r *Revert) { r.UUID = "other" }),
		"nobody's":   of(func(r *Revert) { r.Snapshot = "" }),
		"a state":    of(func(r *Revert) { r.After = "crashed" }),
		"too long":   of(func(r *Revert) { r.Name = strings.Repeat("x", Limit) }),
		"far longer": []byte(strings.Repeat("x", 3*Limit)),
	} {
		s := Store{Dir: t.TempDir()}
		if err := os.WriteFile(s.Path(uuid), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Get(uuid); !errors.Is(err, ErrDamaged) || r != nil {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}

func TestRequestIsBounded(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	r := revertToOne()
	r.Failed = strings.Repeat("no room ", 1<<20)
	if err := s.Put(r); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(uuid); err != nil || len(got.Failed) != textLimit {
		t.Errorf("%v", err)
	}
	r.Name = strings.Repeat("x", Limit)
	if err := s.Put(r); err == nil {
		t.Error("what nobody could read is written")
	}
	if got, err := s.Get(uuid); err != nil || got.Name != "one" {
		t.Errorf("what was there is %v, %v", got, err)
	}
}
