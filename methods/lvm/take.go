package lvm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// quick leaves out of lvcreate what can follow: starting the monitor, and (by --autobackup) the copy of the
// metadata. Those are for prepared.Close.
const quick = "activation/monitoring=0"

// closeTimeout is for work after the window, which nothing depends on.
const closeTimeout = time.Minute

// Take implements methods.Method.
func (m *Method) Take(ctx context.Context, ref methods.Ref) error {
	return methods.TakeNow(ctx, m, ref)
}

// Prepare finds out everything that lvcreate would have to look for, and has LVM check the command.
func (m *Method) Prepare(ctx context.Context, refs []methods.Ref) (methods.Prepared, error) {
	if len(refs) != 1 {
		return nil, fmt.Errorf("prepare %d logical volumes: want one at a time", len(refs))
	}
	t, err := parseRef(refs[0])
	if err != nil {
		return nil, err
	}
	if err := m.checkTake(ctx, t); err != nil {
		return nil, err
	}
	paths, err := m.physicalVolumes(ctx, t.origin.group)
	if err != nil {
		return nil, err
	}
	args := createArgs(t, refs[0], paths)
	if err := m.change(ctx, "lvcreate", append([]string{"--test"}, args...)...); err != nil {
		return nil, fmt.Errorf("check snapshot %s: %w", t.snapshot, err)
	}
	return &prepared{method: m, target: t, args: args}, nil
}

func (m *Method) checkTake(ctx context.Context, t target) error {
	g, err := m.group(ctx, t.origin.group)
	if err != nil {
		return err
	}
	if g.has(t.snapshot.volume) {
		return fmt.Errorf("take snapshot %s: %w", t.snapshot, methods.ErrExists)
	}
	origin, ok := g.find(t.origin.volume)
	if !ok {
		return fmt.Errorf("find origin %s: %w", t.origin, methods.ErrNotFound)
	}
	if origin.thin() != t.thin {
		return methods.Blockedf("%s is now a %s volume, which was not planned", t.origin, modeOf(origin))
	}
	return nil
}

type prepared struct {
	method *Method
	target target
	args   []string
	taken  bool
}

func (p *prepared) Take(ctx context.Context) error {
	if err := p.method.change(ctx, "lvcreate", p.args...); err != nil {
		return fmt.Errorf("take snapshot %s: %w", p.target.snapshot, err)
	}
	p.taken = true
	return nil
}

// Close makes good what lvcreate left out. Nothing is monitored of a thin snapshot; its pool was before.
func (p *prepared) Close() error {
	if !p.taken {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_, err := p.method.ask(ctx, "vgcfgbackup", p.target.snapshot.group)
	if p.target.thin {
		return err
	}
	_, monitored := p.method.ask(ctx, "lvchange", "--monitor", "y", p.target.snapshot.String())
	return errors.Join(err, monitored)
}

// createArgs is the whole command. A thin snapshot stays inactive, so lvcreate need not wait for udev. A thick
// one moves devices about under the origin, and must: without udev the origin's own node in /dev/mapper
// would be replaced, owner and all.
func createArgs(t target, ref methods.Ref, paths []string) []string {
	args := []string{"--snapshot", "--permission", "r", "--autobackup", "n", "--config", quick}
	for _, p := range paths {
		args = append(args, "--devices", p)
	}
	if t.thin {
		args = append(args, "--setactivationskip", "y", "--noudevsync")
	} else {
		args = append(args, "--size", strconv.FormatInt(ref.Reserve, 10)+"b", "--chunksize", strconv.Itoa(cowChunk)+"b")
	}
	args = append(args, "--name", t.snapshot.volume)
	args = append(args, flagged("--addtag", tags(ref))...)
	return append(args, t.origin.String())
}

var (
	uuidPattern = regexp.MustCompile(`^[0-9A-Fa-f-]{36}$`)
	tagPattern  = regexp.MustCompile(`^[A-Za-z0-9_+.][A-Za-z0-9_+.=!:&#/-]*$`)
)

// tags say in the storage whose snapshot it is, so that records can be rebuilt, and checked before a removal.
func tags(ref methods.Ref) []string {
	list := []string{snapshotTag(ref.Snapshot)}
	if uuidPattern.MatchString(ref.Disk.Domain.UUID) {
		list = append(list, "domsnap.domain="+ref.Disk.Domain.UUID)
	}
	return list
}

func snapshotTag(id string) string { return "domsnap.snapshot=" + id }

// flagged puts the flag before each value that may be an argument.
func flagged(flag string, values []string) []string {
	var args []string
	for _, v := range values {
		if tagPattern.MatchString(v) {
			args = append(args, flag, v)
		}
	}
	return args
}
