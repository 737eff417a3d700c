package rbd

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// content is an image that is read at a snapshot, up to its end: librbd itself refuses to read behind it.
type content struct {
	*io.SectionReader
	methods.Gathering
	session *session
	limits  limits
}

// Open implements methods.Method. Nobody notices: no watcher, no lock.
func (m *Method) Open(ctx context.Context, ref methods.Ref) (methods.Content, error) {
	p, err := recorded(ref)
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, m, p, false)
	if err != nil {
		return nil, err
	}
	c, err := await(ctx, s, func() (*content, error) { return s.content(m.limits) })
	if err != nil {
		return nil, errors.Join(err, s.close(m.limits.answer))
	}
	return c, nil
}

func (s *session) content(l limits) (*content, error) {
	found, at, err := present(s.reader, s.place)
	if err != nil {
		return nil, err
	}
	r, err := s.reader.stay(s.place.snap)
	return &content{io.NewSectionReader(r, 0, found.snaps[at].size), r, s, l}, err
}

// Close implements methods.Content.
func (c *content) Close() error { return c.session.close(c.limits.answer) }

// List implements methods.Lister.
func (m *Method) List(ctx context.Context, disk methods.Disk) ([]string, error) {
	image, err := m.image(disk.Source)
	if err != nil {
		return nil, err
	}
	return inspect(ctx, m, place{RBDImage: image}, func(r reader) ([]string, error) {
		found, err := r.describe()
		var names []string
		for _, s := range found.snaps {
			if strings.HasPrefix(s.name, "ds-") && strings.HasSuffix(s.name, "-"+disk.Target) {
				names = append(names, s.name)
			}
		}
		return names, err
	})
}
