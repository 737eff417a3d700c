package lvm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// Drop implements methods.Method. It removes one volume, by its exact name, and only what the storage too says
// is this snapshot: the tag is set when it is made, and a volume that a revert has only moved aside so far
// does not have it yet.
func (m *Method) Drop(ctx context.Context, req methods.DropRequest) error {
	t, there, err := m.droppable(ctx, req)
	if err != nil || !there {
		return err
	}
	return m.remove(ctx, t.snapshot)
}

// CheckDrop implements methods.DropChecker.
func (m *Method) CheckDrop(ctx context.Context, req methods.DropRequest) error {
	_, _, err := m.droppable(ctx, req)
	return err
}

// droppable finds the snapshot, and fails with ErrBlocked where it must not be removed.
func (m *Method) droppable(ctx context.Context, req methods.DropRequest) (target, bool, error) {
	t, err := parseRef(req.Ref)
	if err != nil {
		return target{}, false, err
	}
	g, err := m.groupWhenClosed(ctx, t.snapshot)
	if err != nil {
		return target{}, false, err
	}
	v, ok := g.find(t.snapshot.volume)
	if !ok {
		return t, false, nil
	}
	return t, true, t.checkDrop(v)
}

// checkDrop lets pass a thick snapshot without an origin: lvcreate was killed between making the volume and
// making it a snapshot.
func (t target) checkDrop(v volume) error {
	if err := t.checkTags(v); err != nil {
		return err
	}
	switch {
	case t.thin != v.thin():
		return methods.Blockedf("%s is a %s volume, which is not what was recorded", t.snapshot, modeOf(v))
	case !t.thin && v.Origin != "" && v.Origin != t.origin.volume:
		return methods.Blockedf("%s is a snapshot of %s, not of %s", t.snapshot, v.Origin, t.origin)
	case bool(v.Merging):
		return methods.Blockedf("%s is being merged", t.snapshot)
	case bool(v.Open):
		return &methods.Blocked{
			What: fmt.Sprintf("somebody reads %s", t.snapshot),
			Hint: "see who: dmsetup ls --tree; fuser -v /dev/" + t.snapshot.String(),
		}
	}
	return nil
}

// checkTags wants the storage to say what the record says: that the volume was made for this snapshot, of this origin, for
// this domain. Others may write to a domain's metadata, and nobody but root to the tags.
func (t target) checkTags(v volume) error {
	if !v.Tags.has(snapshotTag(t.id)) {
		return methods.Blockedf("%s lacks the tag %s, so it is not touched", t.snapshot, snapshotTag(t.id))
	}
	for _, want := range []string{originTag(t.origin.volume), domainTag(t.domain)} {
		key, _, _ := strings.Cut(want, "=")
		for _, tag := range v.Tags {
			if strings.HasPrefix(tag, key+"=") && tag != want {
				return &methods.Blocked{
					What: fmt.Sprintf("%s has the tag %s, and the record says %s", t.snapshot, tag, want),
					Hint: "see whose it is: lvs -o +tags " + t.snapshot.String(),
				}
			}
		}
	}
	return nil
}

// remove ends when the volume is seen to be gone: nobody looks for it once its snapshot is forgotten.
func (m *Method) remove(ctx context.Context, n name) error {
	if err := m.change(ctx, "lvremove", "--force", n.String()); err != nil {
		return fmt.Errorf("remove %s: %w", n, err)
	}
	g, err := m.group(context.WithoutCancel(ctx), n.group)
	if err == nil && g.has(n.volume) {
		err = errors.New("it is there still")
	}
	if err != nil {
		return fmt.Errorf("look for %s after its removal: %w", n, err)
	}
	return nil
}
