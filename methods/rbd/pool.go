package rbd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// Pool is a pool of a cluster, or a namespace of one, over one connection. It makes and removes images, which the method
// does not.
type Pool struct {
	at      methods.RBDImage
	cluster cluster
	limits  limits
}

// OpenPool connects to where an image without a name is. Like New it takes the variables that librados goes by out of this
// process's environment.
func OpenPool(ctx context.Context, at methods.RBDImage) (*Pool, error) {
	forgetEnvironment()
	named := at
	named.Image = "any"
	if err := errors.Join(available(), checkNames(named), checkReach(at)); err != nil {
		return nil, err
	}
	return openPool(ctx, at, connect)
}

func openPool(ctx context.Context, at methods.RBDImage, connect connector) (*Pool, error) {
	s := &session{place: place{RBDImage: at}}
	c, err := await(ctx, s, func() (cluster, error) { return connect(at) })
	if err != nil {
		return nil, fmt.Errorf("open pool %s: %w", at.Pool, err)
	}
	return &Pool{at, c, usualLimits()}, nil
}

// Close ends the connection. No image is open any more.
func (p *Pool) Close() error {
	p.cluster.close()
	return nil
}

func (p *Pool) session(image string) *session {
	at := p.at
	at.Image = image
	return &session{place: place{RBDImage: at}}
}

// Images are the names of all that there are.
func (p *Pool) Images(ctx context.Context) ([]string, error) {
	names, err := await(ctx, p.session(""), p.cluster.images)
	if err != nil {
		return nil, fmt.Errorf("list images of pool %s: %w", p.at.Pool, err)
	}
	return names, nil
}

// Create makes an image that is all zero. It fails with ErrExists. A plain one has none of the features that the
// configuration asks for: nobody locks it, and it has no object map.
func (p *Pool) Create(ctx context.Context, image string, size int64, plain bool) error {
	s := p.session(image)
	if err := s.do(ctx, func() error { return p.cluster.create(image, size, plain) }); err != nil {
		return fmt.Errorf("make image %s: %w", s.place.RBDImage, err)
	}
	return nil
}

// Remove takes an image away that has no snapshots. One that is not there is no error.
func (p *Pool) Remove(ctx context.Context, image string) error {
	s := p.session(image)
	err := s.do(ctx, func() error { return p.cluster.remove(image) })
	if err != nil && !errors.Is(err, methods.ErrNotFound) {
		return fmt.Errorf("remove image %s: %w", s.place.RBDImage, err)
	}
	return nil
}

// Look opens an image for reading so that nobody notices.
func (p *Pool) Look(ctx context.Context, image string) (*Image, error) {
	i := &Image{p.session(image), p.limits, nil}
	return i.opened(i.session.do(ctx, func() error { return i.look(p.cluster) }))
}

// Change opens an image for changes by nobody else: it fails with ErrBlocked while another client has it open, after it has
// waited for one that died.
func (p *Pool) Change(ctx context.Context, image string) (*Image, error) {
	i := &Image{p.session(image), p.limits, nil}
	err := i.session.do(ctx, func() error { return i.look(p.cluster) })
	if err == nil {
		err = (&Method{limits: p.limits}).awaitDead(ctx, i.session)
	}
	if err == nil {
		err = i.session.do(ctx, func() error { return i.own(p.cluster) })
	}
	return i.opened(err)
}

// Companion opens an image for changes that nobody changes who has not another one for that. Who that one is of is all that
// stands in the way.
func (p *Pool) Companion(ctx context.Context, image string) (*Image, error) {
	i := &Image{p.session(image), p.limits, nil}
	return i.opened(i.session.do(ctx, func() error { return i.join(p.cluster) }))
}

func (i *Image) join(c cluster) error {
	w, err := c.write(i.session.place.Image)
	if err != nil {
		return fmt.Errorf("open image %s for changes: %w", i.session.place.RBDImage, err)
	}
	i.session.reader, i.session.writer, i.content = notClosed{w}, w, w
	return nil
}

// notClosed is an image that is closed by another name.
type notClosed struct{ reader }

func (notClosed) close() error { return nil }

func (i *Image) look(c cluster) (err error) {
	if i.session.reader, err = c.read(i.session.place.Image); err != nil {
		return fmt.Errorf("open image %s: %w", i.session.place.RBDImage, err)
	}
	return nil
}

func (i *Image) own(c cluster) error {
	at := i.session.place
	by, err := i.session.reader.users()
	if err != nil {
		return fmt.Errorf("list users of image %s: %w", at.RBDImage, err)
	}
	if err := errors.Join(unused(at, by), unlocked(at, by)); err != nil {
		return err
	}
	w, err := c.write(at.Image)
	if err == nil {
		i.session.writer, i.content = w, w
		err = w.own()
	}
	if err != nil {
		return fmt.Errorf("open image %s for changes: %w", at.RBDImage, err)
	}
	return nil
}

func (i *Image) opened(err error) (*Image, error) {
	if err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

func usualLimits() limits {
	// The cluster's default for a dead client is 30 s, and librbd's own limit for a call that
	// another client carries out is 30 s too.
	return limits{answer: 3 * time.Second, dead: 45 * time.Second, finish: 35 * time.Second}
}
