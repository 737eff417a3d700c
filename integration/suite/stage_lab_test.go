//go:build lab

// The tests behind the tag "lab" are for the lab.
package suite

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/domsnap/domsnap/integration/lab"
	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
	"github.com/domsnap/domsnap/methods/methodtest"
	"github.com/domsnap/domsnap/xmlspec"
)

// stage makes disks of one kind, of domains that libvirt knows.
type stage struct {
	kind lab.Kind
	// together are disks that one domain has; without any each disk has a domain of its own.
	together []string
	// objects lists what there is for snapshots of a disk.
	objects func(t methodtest.T, disk methods.Disk) []string
	// source reads a backup source; nil for what can be opened as it is.
	source func(context.Context, methods.BackupSource) (methods.Content, error)
	// spec is the body of <diskSnapshot>.
	spec string
	// tools says that the method needs some.
	tools bool
}

// fixtures gives each check a method and the disks.
func (s stage) fixtures(m methods.Method) func(t methodtest.T) methodtest.Fixture {
	return func(t methodtest.T) methodtest.Fixture {
		d := &disks{stage: s, of: map[string]*lab.Domain{}}
		f := methodtest.Fixture{
			Method: m, Disks: image.Access{}, NewDisk: d.newDisk, Present: d.present, Objects: s.objects, OpenSource: s.source, Grow: grow,
		}
		if s.spec != "" {
			f.Spec = parseSpec(t, s.spec)
		}
		return f
	}
}

// toolless is fixtures on a host that has none of the tools. The disks are made as ever.
func (s stage) toolless(m methods.Method) func(t methodtest.T) methodtest.Fixture {
	return func(t methodtest.T) methodtest.Fixture {
		f := s.fixtures(m)(t)
		newDisk, path := f.NewDisk, os.Getenv("PATH")
		f.NewDisk = func(t methodtest.T, target string, content []byte) methods.Disk {
			setPath(t, path)
			disk := newDisk(t, target, content)
			// What takes the disk away needs the tools too.
			t.Cleanup(func() { setPath(t, path) })
			setPath(t, "/none")
			return disk
		}
		setPath(t, "/none")
		t.Cleanup(func() { setPath(t, path) })
		return f
	}
}

func setPath(t methodtest.T, path string) {
	t.Helper()
	if err := os.Setenv("PATH", path); err != nil {
		t.Fatalf("hide the tools: %v", err)
	}
}

// disks are those of one check.
type disks struct {
	stage
	of map[string]*lab.Domain
}

func (d *disks) newDisk(t methodtest.T, target string, content []byte) methods.Disk {
	t.Helper()
	if d.of[target] == nil {
		d.newDomain(t, target, int64(len(content)))
	}
	disk := d.find(t, target)
	if err := fill(t.Context(), disk, content); err != nil {
		t.Fatalf("fill disk %s: %v", target, err)
	}
	return disk
}

func (d *disks) newDomain(t methodtest.T, target string, size int64) {
	t.Helper()
	targets := d.together
	if targets == nil {
		targets = []string{target}
	}
	var opts lab.Options
	for _, target := range targets {
		opts.Disks = append(opts.Disks, lab.Disk{Target: target, Kind: d.kind, Size: size, FS: lab.NoFS})
	}
	domain, err := lab.NewDomain(opts)
	if err != nil {
		t.Fatalf("make a domain: %v", err)
	}
	t.Cleanup(func() {
		if err := domain.Close(); err != nil {
			t.Errorf("remove the domain: %v", err)
		}
	})
	for _, target := range targets {
		d.of[target] = domain
	}
}

func (d *disks) present(t methodtest.T, disk methods.Disk) methods.Disk {
	t.Helper()
	return d.find(t, disk.Target)
}

// find asks libvirt about a disk.
func (d *disks) find(t methodtest.T, target string) methods.Disk {
	t.Helper()
	text, err := d.of[target].Libvirt().GetXMLDesc(0)
	if err != nil {
		t.Fatalf("get domain XML: %v", err)
	}
	domain, err := xmlspec.ParseDomain(text)
	if err != nil {
		t.Fatalf("read domain XML: %v", err)
	}
	for _, found := range domain.Disks {
		if found.Target == target {
			return methods.Disk{
				Domain: methods.Domain{Name: domain.Name, UUID: domain.UUID},
				Target: target, Source: sourceOf(found.Source), Format: found.Format,
			}
		}
	}
	t.Fatalf("the domain has no disk %s", target)
	return methods.Disk{}
}

func sourceOf(s xmlspec.DiskSource) methods.Source {
	source := methods.Source{File: s.File, Dev: s.Block, Other: s.Other}
	if s.RBD != nil {
		pool, name, _ := strings.Cut(s.RBD.Name, "/")
		source.RBD = &methods.RBDImage{Pool: pool, Image: name}
	}
	if s.Network != nil {
		source.Network = (*methods.NetworkSource)(s.Network)
	}
	return source
}

func fill(ctx context.Context, disk methods.Disk, content []byte) error {
	d, err := image.Access{}.OpenDisk(ctx, disk)
	if err != nil {
		return err
	}
	_, err = d.WriteAt(content, 0)
	return errors.Join(err, d.Sync(), d.Close())
}
