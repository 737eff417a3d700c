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

// quick leaves out of an act what can follow: starting the monitor, and the copy of the metadata. Those are for
// prepared.Close.
const quick = "activation/monitoring=0 backup/backup=0 backup/archive=0"

// closeTimeout is for work after the window, which nothing depends on.
const closeTimeout = time.Minute

// Take implements methods.Method.
func (m *Method) Take(ctx context.Context, ref methods.Ref) error {
	return methods.TakeNow(ctx, m, ref)
}

// Prepare finds out everything that the act would have to look for. For a thick snapshot it also makes the volume
// that will keep what the origin overwrites: the room for it is taken and its header cleared before anybody waits.
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
	p := &prepared{method: m, target: t, tool: "lvcreate", args: thinArgs(t, refs[0], paths)}
	if t.thin {
		return p, p.rehearse(ctx)
	}
	p.tool, p.args = "lvconvert", thickArgs(t, paths)
	return p, m.makeStore(ctx, t, refs[0])
}

// rehearse has LVM check the command without doing it.
func (p *prepared) rehearse(ctx context.Context) error {
	if err := p.method.change(ctx, p.tool, append([]string{"--test"}, p.args...)...); err != nil {
		return fmt.Errorf("check snapshot %s: %w", p.target.snapshot, err)
	}
	return nil
}

// makeStore makes the volume that becomes the snapshot.
func (m *Method) makeStore(ctx context.Context, t target, ref methods.Ref) error {
	args := []string{"--yes", "--zero", "y", "--wipesignatures", "y", "--size", strconv.FormatInt(ref.Reserve, 10) + "b",
		"--name", t.snapshot.volume}
	args = append(append(args, flagged("--addtag", tags(ref))...), t.snapshot.group)
	if err := m.change(ctx, "lvcreate", args...); err != nil {
		return fmt.Errorf("make room for snapshot %s: %w", t.snapshot, err)
	}
	if err := m.change(ctx, "lvchange", "--activate", "n", t.snapshot.String()); err != nil {
		return fmt.Errorf("make room for snapshot %s: %w", t.snapshot, err)
	}
	return nil
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

// prepared is one command that only has to be run.
type prepared struct {
	method *Method
	target target
	tool   string
	args   []string
	taken  bool
}

func (p *prepared) Take(ctx context.Context) error {
	if err := p.method.change(ctx, p.tool, p.args...); err != nil {
		return fmt.Errorf("take snapshot %s: %w", p.target.snapshot, err)
	}
	p.taken = true
	return nil
}

// Close makes good what the act left out. Nothing is monitored of a thin snapshot; its pool was before. While it takes the
// permission, LVM would end and begin the monitoring of all snapshots of the origin, and wait eight seconds for each whose
// monitor does not answer.
func (p *prepared) Close(ctx context.Context) error {
	if !p.taken {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if p.target.thin {
		return p.method.backUp(ctx, p.target)
	}
	sealed := p.method.change(ctx, "lvchange", "--ignoremonitoring", "--permission", "r", p.target.snapshot.String())
	monitored := p.method.do(ctx, "lvchange", "--monitor", "y", p.target.snapshot.String())
	return errors.Join(sealed, monitored, p.method.backUp(ctx, p.target))
}

func (m *Method) backUp(ctx context.Context, t target) error {
	return m.do(ctx, "vgcfgbackup", t.snapshot.group)
}

// thinArgs is an lvcreate. A thin snapshot stays inactive, so it need not wait for udev.
func thinArgs(t target, ref methods.Ref, paths []string) []string {
	args := append([]string{"--snapshot", "--permission", "r", "--setactivationskip", "y"}, quickly(paths)...)
	args = append(args, "--name", t.snapshot.volume)
	args = append(args, flagged("--addtag", tags(ref))...)
	return append(args, t.origin.String())
}

// thickArgs is an lvconvert of the store into a snapshot. The store is cleared already, so no device node has to be
// there before the command goes on, and it need not wait for udev, which makes the nodes as always.
func thickArgs(t target, paths []string) []string {
	args := append([]string{"--yes", "--snapshot", "--zero", "n", "--chunksize", strconv.Itoa(cowChunk) + "b"}, quickly(paths)...)
	return append(args, t.origin.String(), t.snapshot.String())
}

// quickly are the flags of an act: look at these physical volumes only, and wait for nobody.
func quickly(paths []string) []string {
	args := []string{"--noudevsync", "--config", quick}
	for _, p := range paths {
		args = append(args, "--devices", p)
	}
	return args
}

var (
	uuidPattern = regexp.MustCompile(`^[0-9A-Fa-f-]{36}$`)
	tagPattern  = regexp.MustCompile(`^[A-Za-z0-9_+.][A-Za-z0-9_+.=!:&#/-]*$`)
)

// tags say in the storage whose snapshot it is, so that records can be rebuilt, and checked before a removal.
func tags(ref methods.Ref) []string {
	list := []string{snapshotTag(ref.Snapshot)}
	if uuidPattern.MatchString(ref.Disk.Domain.UUID) {
		list = append(list, domainTag(ref.Disk.Domain.UUID))
	}
	if origin, err := parseName(ref.Origin); err == nil {
		list = append(list, originTag(origin.volume))
	}
	return list
}

func snapshotTag(id string) string { return "domsnap.snapshot=" + id }

// domainTag names the domain whose disk it is.
func domainTag(uuid string) string { return "domsnap.domain=" + uuid }

// originTag names the volume that the snapshot is of.
func originTag(volume string) string { return "domsnap.origin=" + volume }

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
