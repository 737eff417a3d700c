package qemu_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/domsnap/domsnap/methods"
)

func (r *rig) wantList(want ...string) {
	r.t.Helper()
	got, err := r.List(r.t.Context(), r.disk("vda"))
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("the list: %s", diff)
	}
}

func TestListFindsWhatIsTakenKeptAndPrepared(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.wantList()
	r.take("sone")
	r.write(0, 'a')
	r.revert("sone", "skept")
	if _, err := r.Prepare(t.Context(), []methods.Ref{r.plan("shalf")}); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"web2.ds-sone-vda.qcow2", "web1.ds-sone-vdb.qcow2", "web1.ds-sone-vda.raw", "xweb1.ds-sx-vda.qcow2"} {
		if err := os.WriteFile(filepath.Join(r.dir, other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.wantList("ds-shalf-vda", "ds-skept-vda", "ds-sone-vda")
}

func TestListIsEmptyWhenAllIsDropped(t *testing.T) {
	t.Parallel()
	r := threeSnapshots(t, "web1.raw", false)
	r.wantList("ds-sone-vda", "ds-sthree-vda", "ds-stwo-vda")
	for _, id := range []string{"stwo", "sone", "sthree"} {
		r.drop(id)
	}
	r.wantList()
}

func TestListOfADiskThatIsGoneIsEmpty(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if got, err := r.List(t.Context(), methods.Disk{}); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
}
