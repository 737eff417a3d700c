package lvm

import (
	"context"
	"errors"
	"fmt"

	"github.com/domsnap/domsnap/methods"
)

// The swap of a thin volume. The names:
//
//	O  the origin: the disk
//	N  what becomes the disk, a snapshot of the snapshot: -new
//	K  what the request keeps the present as, if it does
//	X  the present on its way out: -old
//	A  K, unless there is no request to keep or K holds the present of a first attempt already; then X
//
// The steps, each of which is one LVM command and so is done or not:
//
//	make N · rename O to A · rename N to O · remove X · shelve K
//
// What is found tells what was done, and a repeated revert begins anew from O:
//
//	found         interrupted                        then first
//	O             nowhere, or after the last step    –
//	O, N          before the first rename            remove N
//	X [N] [K]     between the renames                rename X to O, remove N
//	K [N]         between the renames                rename K to O, remove N
//	O, X [K]      before X was removed               remove X
//	O, K [N]      after the renames                  remove N; K stays, A is X
//	none of them  never by this                      ErrNotFound
//
// So K is never overwritten, and the present is never without a name. Nothing marks a revert as done, since
// the guest may have written since the last one.

const (
	freshSuffix = "-new"
	oldSuffix   = "-old"
)

func (r revert) fresh() name { return r.to.snapshot.sibling(r.to.snapshot.volume + freshSuffix) }

func (r revert) old() name { return r.to.snapshot.sibling(r.to.snapshot.volume + oldSuffix) }

func (r revert) checkSwap() error {
	present, _ := r.present()
	snapshot, _ := r.group.find(r.to.snapshot.volume)
	if present.Pool != snapshot.Pool {
		return methods.Blockedf("%s is now in pool %s, the snapshot in %s", r.to.origin, present.Pool, snapshot.Pool)
	}
	return nil
}

func (m *Method) swap(ctx context.Context, r revert) error {
	if err := r.checkSwap(); err != nil {
		return err
	}
	if err := m.rollBack(ctx, r); err != nil {
		return err
	}
	g, err := m.group(ctx, r.to.origin.group)
	if err != nil {
		return err
	}
	r.group = g
	if err := m.clear(ctx, r); err != nil {
		return err
	}
	aside, err := m.exchange(ctx, r)
	if err != nil {
		return err
	}
	return m.endSwap(context.WithoutCancel(ctx), r, aside)
}

// rollBack gives the present its name again, where a swap stopped between the renames.
func (m *Method) rollBack(ctx context.Context, r revert) error {
	if r.group.has(r.to.origin.volume) {
		return nil
	}
	present, ok := r.present()
	if !ok {
		return fmt.Errorf("find origin %s: %w", r.to.origin, methods.ErrNotFound)
	}
	return m.rename(ctx, r.to.origin.sibling(present.Name), r.to.origin)
}

// clear removes what an interrupted swap left over. There is an origin, so neither is the present.
func (m *Method) clear(ctx context.Context, r revert) error {
	for _, leftover := range []name{r.fresh(), r.old()} {
		if !r.group.has(leftover.volume) {
			continue
		}
		if err := m.remove(ctx, leftover); err != nil {
			return err
		}
	}
	return nil
}

// exchange puts a new snapshot of the snapshot in the origin's place, and says what the present is called now. The first
// rename is the point of no return; what fails before it leaves nothing behind.
func (m *Method) exchange(ctx context.Context, r revert) (aside name, err error) {
	aside = r.old()
	if r.keep != nil && !r.group.has(r.keep.snapshot.volume) {
		aside = r.keep.snapshot
	}
	err = m.makeFresh(ctx, r)
	if err == nil {
		err = m.rename(ctx, r.to.origin, aside)
	}
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return aside, errors.Join(err, m.dropFresh(ctx, r))
	}
	return aside, m.rename(ctx, r.fresh(), r.to.origin)
}

// endSwap ends a swap whose volumes are seen to have their names: what a tool says it did is not enough to remove the present.
func (m *Method) endSwap(ctx context.Context, r revert, aside name) error {
	g, err := m.group(ctx, r.to.origin.group)
	if err != nil {
		return err
	}
	if err := r.checkNames(g, aside); err != nil {
		return err
	}
	if aside == r.old() {
		if err := m.remove(ctx, aside); err != nil {
			return err
		}
	}
	return m.shelve(ctx, r, g)
}

func (r revert) checkNames(g group, aside name) error {
	for _, wanted := range []name{r.to.origin, aside} {
		if !g.has(wanted.volume) {
			return fmt.Errorf("find %s after the renames: %w", wanted, methods.ErrNotFound)
		}
	}
	return nil
}
