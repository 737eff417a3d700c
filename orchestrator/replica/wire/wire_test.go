package wire_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
	"github.com/domsnap/domsnap/orchestrator/replica/wire"
)

const (
	uuid = "6f1d2c3b-0000-4000-8000-000000000001"
	size = 3<<20 + 512
)

// pipes lead to a server of this process.
type pipes struct {
	io.Reader
	io.WriteCloser
	ended chan error
}

func (p *pipes) Close() error {
	err := p.WriteCloser.Close()
	return errors.Join(err, <-p.ended)
}

// dial opens a directory by way of a server.
func dial(t *testing.T, dir string) (replica.Place, error) {
	t.Helper()
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	p := &pipes{fromServer, toServer, make(chan error, 1)}
	go func() {
		err := wire.Server{Open: func(dir string) (replica.Place, error) { return replica.OpenStore(dir) }}.Serve(t.Context(), fromClient, toClient)
		p.ended <- errors.Join(err, toClient.Close())
	}()
	return wire.Dial(t.Context(), p, dir)
}

type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

func text() []byte { return append(bytes.Repeat([]byte("domsnap "), size/8-64), make([]byte, 512)...) }

func manifest() replica.Manifest {
	return replica.Manifest{
		Key: replica.Key{Domain: uuid, Snapshot: "aaaa"}, DomainName: "web1", Name: "one",
		Disks: []replica.Disk{{Target: "vda", Size: size}},
	}
}

func TestPlaceAtTheOtherEnd(t *testing.T) {
	dir := t.TempDir()
	p, err := dial(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	to, err := p.Begin(t.Context(), manifest())
	if err != nil {
		t.Fatal(err)
	}
	want := append(text(), make([]byte, size-len(text()))...)
	sent, err := replica.Send(t.Context(), to, replica.Sending{Disk: "vda", Content: content{bytes.NewReader(want)}})
	if err == nil {
		err = errors.Join(to.Finish(t.Context()), to.Close())
	}
	if err != nil || sent.Read != size {
		t.Fatalf("%+v, %v", sent, err)
	}
	all, err := p.List(t.Context(), uuid)
	if err != nil || len(all) != 1 || all[0].State != replica.Complete {
		t.Fatalf("%+v, %v", all, err)
	}
	local, err := replica.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	if here, err := local.List(t.Context(), uuid); err != nil || !cmp.Equal(here, all) {
		t.Error(cmp.Diff(here, all), err)
	}
	c, err := p.Open(t.Context(), all[0].Key, "vda")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("what is read is something else, %v", err)
	}
	if err := errors.Join(p.Verify(t.Context(), all[0].Key, nil), p.Remove(t.Context(), all[0].Key), p.Close()); err != nil {
		t.Error(err)
	}
}

// TestVerifyTellsHowFarItIs: with all disks together, at the other end too.
func TestVerifyTellsHowFarItIs(t *testing.T) {
	const each = 40 << 20
	p, err := dial(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := manifest()
	m.Disks = []replica.Disk{{Target: "vda", Size: each}, {Target: "vdb", Size: each}}
	to, err := p.Begin(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Disks {
		if _, err := replica.Send(t.Context(), to, replica.Sending{Disk: d.Target, Content: content{bytes.NewReader(make([]byte, each))}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(to.Finish(t.Context()), to.Close()); err != nil {
		t.Fatal(err)
	}
	var told []int64
	err = p.Verify(t.Context(), m.Key, func(done, total int64) {
		if total != 2*each || done <= 0 || done > total {
			t.Errorf("told %d of %d", done, total)
		}
		told = append(told, done)
	})
	if err != nil || len(told) < 4 || !slices.IsSorted(told) || told[len(told)-1] <= each {
		t.Errorf("told %d, %v", told, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestErrorsComeAcrossAsWhatTheyAre(t *testing.T) {
	p, err := dial(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Open(t.Context(), manifest().Key, "vda"); !errors.Is(err, methods.ErrNotFound) {
		t.Error(err)
	}
	to, err := p.Begin(t.Context(), manifest())
	if err != nil {
		t.Fatal(err)
	}
	wrong := replica.Piece{Disk: "vda", Sum: replica.Sum{1}, Data: []byte("x"), Extents: []methods.Extent{{Length: 1}}}
	if err := to.Put(t.Context(), wrong); err != nil {
		t.Fatal(err)
	}
	if err := to.Sync(t.Context(), "vda", size); !errors.Is(err, methods.ErrDiffers) {
		t.Error(err)
	}
	if err := errors.Join(to.Put(t.Context(), replica.Piece{Disk: "vdz"}), to.Put(t.Context(), wrong)); err != nil {
		t.Fatal(err)
	}
	if err := to.Finish(t.Context()); err == nil || !strings.Contains(err.Error(), "vdz") {
		t.Error(err)
	}
	if err := to.Close(); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, "no/path"); err == nil {
		t.Error("a relative path is opened")
	}
}

// answering says something, and hears nothing.
type answering struct {
	io.Reader
	io.Writer
}

func (answering) Close() error { return nil }

func TestWhoIsNoDomsnapIsFoundOut(t *testing.T) {
	for _, said := range []string{"", "Welcome to this host!\n", "\x00\x00\x00\x02\x00\x00\x00\x00{}", "\x00\x00\x00\x02\x00\x00"} {
		if _, err := wire.Dial(t.Context(), answering{strings.NewReader(said), io.Discard}, "/x"); err == nil {
			t.Errorf("%q is a domsnap", said)
		}
	}
}

// nowhere keeps nothing, and says so to nobody.
type nowhere struct{ replica.Manifest }

func (nowhere) List(context.Context, string) ([]replica.Manifest, error) {
	return []replica.Manifest{manifest()}, nil
}
func (nowhere) Begin(_ context.Context, m replica.Manifest) (replica.Inbox, error) {
	return nothing{nowhere{m}}, nil
}
func (nowhere) Open(context.Context, replica.Key, string) (methods.Content, error) {
	return content{bytes.NewReader(text())}, nil
}
func (nowhere) Verify(context.Context, replica.Key, methods.Progress) error { return nil }
func (nowhere) Remove(context.Context, replica.Key) error                   { return nil }
func (nowhere) Close() error                                                { return nil }

type nothing struct{ nowhere }

func (n nothing) Manifest() replica.Manifest { return n.nowhere.Manifest }
func (nothing) Sums(context.Context, replica.SumsRequest) ([]replica.Sum, error) {
	return make([]replica.Sum, 3), nil
}
func (nothing) Put(context.Context, replica.Piece) error  { return nil }
func (nothing) Sync(context.Context, string, int64) error { return nil }
func (nothing) Finish(context.Context) error              { return nil }

func FuzzServer(f *testing.F) {
	frame := func(header, body string) string {
		return string([]byte{0, 0, byte(len(header) >> 8), byte(len(header)), 0, 0, 0, byte(len(body))}) + header + body
	}
	hello := frame(`{"verb":"hello","greeting":"domsnap-replicas-1","dir":"/x"}`, "")
	begin := frame(`{"verb":"begin","manifest":{"version":1,"domain":"`+uuid+`","snapshot":"aaaa","name":"n","domain_name":"d","created":"2026-11-20T03:00:00Z","state":"inbound","disks":[{"target":"vda","size":512,"method":"m","done":0}]}}`, "")
	f.Add([]byte(hello + frame(`{"verb":"list"}`, "")))
	f.Add([]byte(hello + begin + frame(`{"verb":"put","disk":"vda","extents":[{"offset":0,"length":1}]}`, "x") + frame(`{"verb":"sync","disk":"vda","number":512}`, "")))
	f.Add([]byte(hello + begin + frame(`{"verb":"sums","disk":"vda","count":4096}`, "") + frame(`{"verb":"finish"}`, "") + frame(`{"verb":"close"}`, "")))
	f.Add([]byte(hello + frame(`{"verb":"read","domain":"..","snapshot":"aaaa","disk":"vda","number":-1}`, "")))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := wire.Server{Open: func(string) (replica.Place, error) { return nowhere{}, nil }}
		_ = s.Serve(t.Context(), bytes.NewReader(in), io.Discard)
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02\x00\x00\x00\x00{}"))
	f.Add([]byte("\x00\x00\x00\x21\x00\x00\x00\x00{\"greeting\":\"domsnap-replicas-1\"}\x00\x00\x00\x0b\x00\x00\x00\x00{\"more\":true}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := wire.Dial(t.Context(), answering{bytes.NewReader(in), io.Discard}, "/x")
		if err != nil {
			return
		}
		_, _ = p.List(t.Context(), "")
		if to, err := p.Begin(t.Context(), manifest()); err == nil {
			_, _ = to.Sums(t.Context(), replica.SumsRequest{Disk: "vda", Count: 1})
		}
	})
}

func TestTargets(t *testing.T) {
	for text, want := range map[string]string{
		"/backup": "file:/backup", "file:/backup/": "file:/backup", "file:///backup/x y": "file:/backup/x y",
		"ssh://host/backup": "ssh://host/backup", "ssh://root@host:2222/b": "ssh://root@host:2222/b", "ssh://[::1]:22/b": "ssh://[::1]:22/b",
	} {
		if got, err := wire.ParseTarget(text); err != nil || got.String() != want {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "backup", "file:backup", "/", "file:///", "ssh://host", "ssh:///x", "ssh://-oProxyCommand=x/y", "ssh://-l@host/x", "ssh://a:b@host/x",
		"ssh://host/x?y", "http://host/x", "ssh://host/..", "ssh://host;reboot/x", "ssh://ho st/x", "ssh://host/x#y", "ssh://%2doProxy/x",
		"ssh://" + strings.Repeat("h", 256) + "/x", "ssh://" + strings.Repeat("u", 65) + "@host/x",
	} {
		if got, err := wire.ParseTarget(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}
