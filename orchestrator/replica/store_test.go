package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/orchestrator/keep"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

const (
	uuid = "6f1d2c3b-0000-4000-8000-000000000001"
	size = 5<<20 + 512
)

// content is a disk in memory.
type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

func contentOf(b []byte) methods.Content { return content{bytes.NewReader(b)} }

// older and newer are a disk at two times: a few bytes across the ends of chunks differ, and a chunk and a half are zero.
func older() []byte {
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := 1 << 20; i < 3<<20; i++ {
		b[i] = byte(r.Uint32())
	}
	copy(b[size-512:], bytes.Repeat([]byte("end "), 128))
	return b
}

func newer() []byte {
	b := older()
	copy(b[64<<10-100:], bytes.Repeat([]byte("now "), 50))
	clear(b[1<<20+64<<10 : 1<<20+160<<10])
	copy(b[4<<20:], "new")
	return b
}

func changed() []methods.Extent {
	return []methods.Extent{{Offset: 64<<10 - 100, Length: 200}, {Offset: 1<<20 + 64<<10, Length: 96 << 10}, {Offset: 4 << 20, Length: 3}}
}

func openStore(t *testing.T, dir string) *replica.Store {
	t.Helper()
	s, err := replica.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// manifest is one of a snapshot with the disks vda and vdb.
func manifest(id string, day int) replica.Manifest {
	return replica.Manifest{
		Key: replica.Key{Domain: uuid, Snapshot: id}, DomainName: "web1", Name: "name of " + id,
		Created: time.Date(2026, 11, day, 3, 0, 0, 0, time.UTC),
		Disks:   []replica.Disk{{Target: "vda", Size: size, Method: "memory"}, {Target: "vdb", Size: size, Method: "memory"}},
	}
}

// send brings a snapshot with the same content on both disks, and says what moved.
func send(ctx context.Context, p replica.Place, m replica.Manifest, s replica.Sending) (moved int64, err error) {
	to, err := p.Begin(ctx, m)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if to.Manifest().State == replica.Complete {
		return 0, nil
	}
	for _, d := range m.Disks {
		s.Disk = d.Target
		sent, err := replica.Send(ctx, to, s)
		moved += sent.Moved
		if err != nil {
			return moved, err
		}
	}
	return moved, to.Finish(ctx)
}

func sent(t *testing.T, p replica.Place, m replica.Manifest, s replica.Sending) int64 {
	t.Helper()
	moved, err := send(t.Context(), p, m, s)
	if err != nil {
		t.Fatal(err)
	}
	return moved
}

// wantReplica reads both disks, and has the place verify them.
func wantReplica(t *testing.T, p replica.Place, id string, want []byte) {
	t.Helper()
	k := replica.Key{Domain: uuid, Snapshot: id}
	for _, target := range []string{"vda", "vdb"} {
		c, err := p.Open(t.Context(), k, target)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, c.Size())
		if _, err := c.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s of %s is something else (%v)", target, id, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	var done, total int64
	if err := p.Verify(t.Context(), k, func(d, n int64) { done, total = d, n }); err != nil || done != total || total != 2*int64(len(want)) {
		t.Errorf("verified %d of %d, %v", done, total, err)
	}
}

func TestReplicaInFullAndByWhatHasChanged(t *testing.T) {
	dir := t.TempDir()
	p := openStore(t, dir)
	if moved := sent(t, p, manifest("aaaa", 1), replica.Sending{Content: contentOf(older())}); moved != 2*(2<<20+512) {
		t.Errorf("%d bytes were moved in full", moved)
	}
	wantReplica(t, p, "aaaa", older())
	info, err := os.Stat(filepath.Join(dir, uuid, "aaaa", "vda.img"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	next := manifest("bbbb", 2)
	next.Base = "aaaa"
	if moved := sent(t, p, next, replica.Sending{Content: contentOf(newer()), Partial: true, Changed: changed()}); moved != 2*(200+32<<10+3) {
		t.Errorf("%d bytes were moved of what has changed", moved)
	}
	wantReplica(t, p, "bbbb", newer())
	wantReplica(t, p, "aaaa", older())
	compared := manifest("cccc", 3)
	compared.Base = "bbbb"
	if moved := sent(t, p, compared, replica.Sending{Content: contentOf(older())}); moved != 2*(2*64<<10) {
		t.Errorf("%d bytes were moved where sums differ", moved)
	}
	wantReplica(t, p, "cccc", older())
}

// TestCutReplicaGoesOn is killed at every act, and begun again by the next process.
func TestCutReplicaGoesOn(t *testing.T) {
	base := t.TempDir()
	sent(t, openStore(t, base), manifest("aaaa", 1), replica.Sending{Content: contentOf(older())})
	acts := cutAfter(t, base, 1<<30)
	if acts < 20 {
		t.Fatalf("there are just %d acts", acts)
	}
	for n := range acts {
		t.Run(fmt.Sprint("after ", n), func(t *testing.T) {
			t.Parallel()
			cutAfter(t, base, n)
		})
	}
}

// killed is what stands in for a kill.
type killed struct{}

// cutAfter kills after n acts, and says how many there were. The disks of who was killed stay as they are.
func cutAfter(t *testing.T, base string, n int) (acts int) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	p := openStore(t, dir)
	next := manifest("bbbb", 2)
	next.Base = "aaaa"
	s := replica.Sending{Content: contentOf(newer()), Partial: true, Changed: changed()}
	ctx := trace.With(t.Context(), func(string, bool) {
		if acts == n {
			panic(killed{})
		}
		acts++
	})
	func() {
		defer func() {
			if r := recover(); r != nil && r != (killed{}) {
				panic(r)
			}
		}()
		if _, err := send(ctx, p, next, s); err != nil {
			t.Fatal(err)
		}
	}()
	loseWhatIsNotSynced(t, dir)
	sent(t, openStore(t, dir), next, s)
	wantReplica(t, p, "bbbb", newer())
	wantReplica(t, p, "aaaa", older())
	return acts
}

// loseWhatIsNotSynced is what a power cut does besides: what was written to a chunk may be anything, until its sum is there.
func loseWhatIsNotSynced(t *testing.T, dir string) {
	t.Helper()
	for _, target := range []string{"vda", "vdb"} {
		path := filepath.Join(dir, uuid, "bbbb", target)
		sums, err := os.ReadFile(path + ".sums")
		before, errBefore := os.ReadFile(filepath.Join(dir, uuid, "aaaa", target+".sums"))
		manifest, errManifest := os.ReadFile(filepath.Join(dir, uuid, "bbbb", "manifest.json"))
		if errBefore != nil || err != nil || errManifest != nil || !bytes.Contains(manifest, []byte(`"prepared":true`)) {
			continue
		}
		f, err := os.OpenFile(path+".img", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range changed() {
			for at := e.Offset; at < e.End(); at++ {
				if n := at / replica.ChunkSize * 32; !bytes.Equal(sums[n:n+32], before[n:n+32]) {
					continue
				}
				end := min(e.End(), (at/replica.ChunkSize+1)*replica.ChunkSize)
				if _, err := f.WriteAt(bytes.Repeat([]byte{0xde}, int(end-at)), at); err != nil {
					t.Fatal(err)
				}
				at = end - 1
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCutReplicaIsInbound, and nobody reads it, nor another one as its base.
func TestCutReplicaIsInbound(t *testing.T) {
	p := openStore(t, t.TempDir())
	to, err := p.Begin(t.Context(), manifest("aaaa", 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Begin(t.Context(), manifest("bbbb", 1)); !errors.Is(err, methods.ErrBlocked) {
		t.Errorf("two at once: %v", err)
	}
	if _, err := replica.Send(t.Context(), to, replica.Sending{Disk: "vda", Content: contentOf(older())}); err != nil {
		t.Fatal(err)
	}
	if err := to.Finish(t.Context()); err == nil {
		t.Error("it is complete without vdb")
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Open(t.Context(), replica.Key{Domain: uuid, Snapshot: "aaaa"}, "vda"); !errors.Is(err, methods.ErrBlocked) {
		t.Error(err)
	}
	all, err := p.List(t.Context(), uuid)
	if err != nil || len(all) != 1 || all[0].State != replica.Inbound || all[0].Done() != size {
		t.Errorf("%+v, %v", all, err)
	}
	next := manifest("bbbb", 2)
	next.Base = "aaaa"
	to, err = p.Begin(t.Context(), next)
	if err != nil || to.Manifest().Base != "" {
		t.Errorf("%+v, %v", to.Manifest(), err)
	}
	if err := to.Close(); err != nil {
		t.Error(err)
	}
}

// TestStorageThatForgetsAChangeIsFoundOut, where anything of the chunk was moved; and reading all puts it right.
func TestStorageThatForgetsAChangeIsFoundOut(t *testing.T) {
	p := openStore(t, t.TempDir())
	sent(t, p, manifest("aaaa", 1), replica.Sending{Content: contentOf(older())})
	next := manifest("bbbb", 2)
	next.Base = "aaaa"
	s := replica.Sending{Content: contentOf(newer()), Partial: true, Changed: []methods.Extent{{Offset: 64<<10 - 50, Length: 10}}}
	if _, err := send(t.Context(), p, next, s); !errors.Is(err, methods.ErrDiffers) {
		t.Fatal(err)
	}
	sent(t, p, next, replica.Sending{Content: contentOf(newer())})
	wantReplica(t, p, "bbbb", newer())
}

func TestDamagedReplicaIsFoundByVerify(t *testing.T) {
	for _, name := range []string{"vda.img", "vda.sums"} {
		dir := t.TempDir()
		p := openStore(t, dir)
		sent(t, p, manifest("aaaa", 1), replica.Sending{Content: contentOf(older())})
		f, err := os.OpenFile(filepath.Join(dir, uuid, "aaaa", name), os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteAt([]byte("x"), 32)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if err := p.Verify(t.Context(), replica.Key{Domain: uuid, Snapshot: "aaaa"}, nil); !errors.Is(err, methods.ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNameOfAReplicaIsNoWayOut(t *testing.T) {
	p := openStore(t, t.TempDir())
	for _, k := range []replica.Key{{Domain: "..", Snapshot: "aaaa"}, {Domain: uuid, Snapshot: "../../etc"}, {Domain: uuid}, {Domain: uuid + "/..", Snapshot: "aaaa"}} {
		m := manifest("aaaa", 1)
		m.Key = k
		_, errBegin := p.Begin(t.Context(), m)
		_, errOpen := p.Open(t.Context(), k, "vda")
		if errBegin == nil || errOpen == nil || p.Remove(t.Context(), k) == nil || p.Verify(t.Context(), k, nil) == nil {
			t.Errorf("%+v is taken", k)
		}
	}
	for _, target := range []string{"../vda", "", "vda/x", "-rf", strings.Repeat("a", 99)} {
		m := manifest("aaaa", 1)
		m.Disks[0].Target = target
		if _, err := p.Begin(t.Context(), m); err == nil {
			t.Errorf("disk %q is taken", target)
		}
	}
	m := manifest("aaaa", 1)
	m.Base = "../../x"
	if _, err := p.Begin(t.Context(), m); err == nil {
		t.Error("a base outside is taken")
	}
}

func TestLinksOfAStoreLeadNowhere(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	p := openStore(t, dir)
	sent(t, openStore(t, outside), manifest("aaaa", 1), replica.Sending{Content: contentOf(older())})
	if err := os.Symlink(filepath.Join(outside, uuid), filepath.Join(dir, uuid)); err != nil {
		t.Fatal(err)
	}
	k := replica.Key{Domain: uuid, Snapshot: "aaaa"}
	_, errOpen := p.Open(t.Context(), k, "vda")
	_, errBegin := p.Begin(t.Context(), manifest("bbbb", 1))
	if errOpen == nil || errBegin == nil || p.Remove(t.Context(), k) == nil {
		t.Errorf("a link was followed: %v, %v", errOpen, errBegin)
	}
	wantReplica(t, openStore(t, outside), "aaaa", older())
}

func TestPieceThatIsNoneIsRefused(t *testing.T) {
	p := openStore(t, t.TempDir())
	to, err := p.Begin(t.Context(), manifest("aaaa", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	some := replica.Sum{1}
	for _, piece := range []replica.Piece{
		{Disk: "vdz"}, {Disk: "vda", Chunk: -1}, {Disk: "vda", Chunk: 81}, {Disk: "vda", Sum: some},
		{Disk: "vda", Sum: some, Data: []byte("x"), Extents: []methods.Extent{{Offset: 64 << 10, Length: 1}}},
		{Disk: "vda", Sum: some, Data: []byte("x"), Extents: []methods.Extent{{Offset: -1, Length: 1}}},
		{Disk: "vda", Sum: some, Data: []byte("x"), Extents: []methods.Extent{{Offset: 0, Length: 2}}},
		{Disk: "vda", Sum: some, Chunk: 80, Data: make([]byte, 513), Extents: []methods.Extent{{Offset: 5 << 20, Length: 513}}},
		{Disk: "vda", Data: []byte("x"), Extents: []methods.Extent{{Offset: 0, Length: 1}}},
		{Disk: "vda", Sum: some, Data: []byte("x"), Extents: []methods.Extent{{Offset: 1 << 62, Length: 1 << 62}}},
	} {
		if to.Put(t.Context(), piece) == nil {
			t.Errorf("%+v is taken", piece)
		}
	}
	for _, done := range []int64{-1, 1, size + 1} {
		if to.Sync(t.Context(), "vda", done) == nil {
			t.Errorf("%d bytes are done", done)
		}
	}
	for _, r := range []replica.SumsRequest{{Disk: "vdz"}, {Disk: "vda", First: -1, Count: 1}, {Disk: "vda", Count: 1 << 40}} {
		if _, err := to.Sums(t.Context(), r); err == nil {
			t.Errorf("%+v is answered", r)
		}
	}
}

func TestPrunedInTheMiddleTheOthersStay(t *testing.T) {
	p := openStore(t, t.TempDir())
	for i, id := range []string{"aaaa", "bbbb", "cccc"} {
		m := manifest(id, i+1)
		if i > 0 {
			m.Base = []string{"aaaa", "bbbb"}[i-1]
		}
		sent(t, p, m, replica.Sending{Content: contentOf([][]byte{older(), newer(), older()}[i])})
	}
	if err := p.Remove(t.Context(), replica.Key{Domain: uuid, Snapshot: "bbbb"}); err != nil {
		t.Fatal(err)
	}
	wantReplica(t, p, "aaaa", older())
	wantReplica(t, p, "cccc", older())
	all, err := replica.Of(t.Context(), p, "web1")
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	r, err := replica.Prune(t.Context(), p, all, replica.PruneOptions{Keep: keep.Rules{Last: 1}})
	if err != nil {
		t.Fatal(err)
	}
	want := &replica.Pruned{Kept: []replica.Kept{{Name: "name of cccc", ID: "cccc", Because: []string{"last", "the next increment"}}}, Deleted: []string{"name of aaaa"}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
}

func TestStoreThatIsNotThereIsMadeByItsFirstReplica(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	p := openStore(t, dir)
	k := replica.Key{Domain: uuid, Snapshot: "aaaa"}
	all, err := p.List(t.Context(), "")
	_, errOpen := p.Open(t.Context(), k, "vda")
	if err != nil || len(all) != 0 || !errors.Is(errOpen, methods.ErrNotFound) || p.Remove(t.Context(), k) != nil {
		t.Errorf("%+v, %v, %v", all, err, errOpen)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made by looking")
	}
	sent(t, p, manifest("aaaa", 1), replica.Sending{Content: contentOf(older())})
	wantReplica(t, p, "aaaa", older())
	if _, err := replica.OpenStore(filepath.Join(dir, "not", "there")); err == nil {
		t.Error("there is a store in nothing")
	}
}

func TestReplicaIsCopiedOn(t *testing.T) {
	from, to := openStore(t, t.TempDir()), openStore(t, t.TempDir())
	sent(t, from, manifest("aaaa", 1), replica.Sending{Content: contentOf(older())})
	next := manifest("bbbb", 2)
	next.Base = "aaaa"
	sent(t, from, next, replica.Sending{Content: contentOf(newer())})
	for id, most := range map[string]int64{"aaaa": 5 << 20} {
		m, err := replica.Find(t.Context(), from, "web1", "name of "+id)
		if err != nil {
			t.Fatal(err)
		}
		moved, err := replica.Copy(t.Context(), from, *m, replica.CopyOptions{To: to})
		if err != nil || moved > most {
			t.Errorf("%d bytes were moved, %v", moved, err)
		}
	}
	m, err := replica.Find(t.Context(), from, uuid, "bbbb")
	if err != nil {
		t.Fatal(err)
	}
	if moved, err := replica.Copy(t.Context(), from, *m, replica.CopyOptions{To: to}); err != nil || moved > 2*5*64<<10 {
		t.Errorf("%d bytes were moved, %v", moved, err)
	}
	wantReplica(t, to, "aaaa", older())
	wantReplica(t, to, "bbbb", newer())
}
