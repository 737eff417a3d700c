package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/orchestrator/replica"
)

// Place has replicas in a pool.
type Place struct{ Images Images }

const (
	snapPrefix  = "replica-"
	headKey     = "domsnap.head"
	manifestKey = "domsnap.replica."
	sumsSuffix  = ".sums"
	dirty       = "dirty "
	// maxManifest is what librbd reads of a text in an image's metadata, and room to spare.
	maxManifest = 250 << 10
)

var imagePattern = regexp.MustCompile(`^domsnap\.([0-9a-f-]{36})\.([a-z][a-z0-9]{0,15})$`)

// imageOf is the name of a disk's image.
func imageOf(uuid, target string) string { return "domsnap." + uuid + "." + target }

func snapOf(id string) string { return snapPrefix + id }

// Close implements replica.Place.
func (p Place) Close() error { return p.Images.Close() }

// disks are the targets of a domain's disks that have images, or those of all domains where uuid is empty, by domain.
func (p Place) disks(ctx context.Context, uuid string) (map[string][]string, error) {
	names, err := p.Images.Images(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	of := map[string][]string{}
	for _, name := range names {
		if m := imagePattern.FindStringSubmatch(name); m != nil && (uuid == "" || m[1] == uuid) {
			of[m[1]] = append(of[m[1]], m[2])
		}
	}
	return of, nil
}

// List implements replica.Place.
func (p Place) List(ctx context.Context, uuid string) ([]replica.Manifest, error) {
	of, err := p.disks(ctx, uuid)
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}
	all := []replica.Manifest{}
	for domain, targets := range of {
		for _, target := range targets {
			some, err := p.listImage(ctx, domain, target)
			if err != nil {
				return nil, fmt.Errorf("list replicas: %w", err)
			}
			all = append(all, some...)
		}
	}
	slices.SortFunc(all, func(a, b replica.Manifest) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Snapshot, b.Snapshot))
	})
	return all, nil
}

// listImage gives the replicas whose manifests are with an image. One that goes meanwhile has none.
func (p Place) listImage(ctx context.Context, domain, target string) (all []replica.Manifest, err error) {
	err = p.peek(ctx, imageOf(domain, target), func(image Reader) error {
		all, err = manifestsOf(ctx, image, domain)
		return err
	})
	return all, err
}

// peek calls fn with an image, if it is there.
func (p Place) peek(ctx context.Context, name string, fn func(Reader) error) error {
	image, err := p.Images.Look(ctx, name)
	if err != nil {
		return ignoreMissing(err)
	}
	return errors.Join(fn(image), image.Close())
}

func manifestsOf(ctx context.Context, image Reader, domain string) (all []replica.Manifest, err error) {
	ids, err := replicasOf(ctx, image)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		k := replica.Key{Domain: domain, Snapshot: id}
		m, err := manifestOf(ctx, image, k)
		switch {
		case errors.Is(err, methods.ErrBroken):
			all = append(all, replica.Manifest{Key: k, State: replica.Broken, Disks: []replica.Disk{}})
		case err != nil:
			return nil, err
		case m != nil:
			all = append(all, *m)
		}
	}
	return all, nil
}

// replicasOf are the ids of those that an image is a disk of, complete or not.
func replicasOf(ctx context.Context, image Reader) ([]string, error) {
	snaps, _, err := image.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, snap := range snaps {
		if id, ok := strings.CutPrefix(snap, snapPrefix); ok {
			ids = append(ids, id)
		}
	}
	head, err := headOf(ctx, image)
	if err == nil && head.id != "" && !slices.Contains(ids, head.id) {
		ids = append(ids, head.id)
	}
	return slices.DeleteFunc(ids, func(id string) bool { return !methods.IsSnapshotID(id) }), err
}

// head is whose the present of an image is.
type head struct {
	id string
	// dirty: it is nothing to go on with.
	dirty bool
}

func headOf(ctx context.Context, image Reader) (head, error) {
	text, err := image.Noted(ctx, headKey)
	id, isDirty := strings.CutPrefix(text, dirty)
	return head{id, isDirty}, err
}

// manifestOf is nil where it is not with that image. It fails with ErrBroken where it makes no sense.
func manifestOf(ctx context.Context, image Reader, k replica.Key) (*replica.Manifest, error) {
	text, err := image.Noted(ctx, manifestKey+k.Snapshot)
	if err != nil || text == "" {
		return nil, err
	}
	m, err := replica.Parse([]byte(text))
	if err == nil && m.Key != k {
		err = errors.New("read manifest: it is that of another replica")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", methods.ErrBroken, err)
	}
	return m, nil
}

func writeManifest(ctx context.Context, image Writer, m *replica.Manifest) error {
	text, err := m.Marshal()
	if err == nil && len(text) > maxManifest {
		err = fmt.Errorf("write manifest: it has %d bytes, and an image's metadata have room for %d", len(text), maxManifest)
	}
	if err != nil {
		return err
	}
	return image.Note(ctx, manifestKey+m.Snapshot, string(text))
}

// find looks for a replica's manifest with the images of the domain's disks, but those that were seen. It fails with ErrNotFound.
func (p Place) find(ctx context.Context, k replica.Key, seen ...string) (*replica.Manifest, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	of, err := p.disks(ctx, k.Domain)
	if err != nil {
		return nil, err
	}
	for _, target := range of[k.Domain] {
		if slices.Contains(seen, target) {
			continue
		}
		m, err := p.look(ctx, k, target)
		if err != nil || m != nil {
			return m, err
		}
	}
	return nil, fmt.Errorf("replica of snapshot %s: %w", k.Snapshot, methods.ErrNotFound)
}

func (p Place) look(ctx context.Context, k replica.Key, target string) (m *replica.Manifest, err error) {
	err = p.peek(ctx, imageOf(k.Domain, target), func(image Reader) error {
		m, err = manifestOf(ctx, image, k)
		return err
	})
	return m, err
}

var _ replica.Place = Place{}
