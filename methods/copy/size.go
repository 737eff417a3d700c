package fullcopy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/image"
)

const (
	qemuImg = "qemu-img"
	raw     = "raw"
)

// size is a disk's capacity, and the room that making its copy takes.
type size struct {
	capacity, needed int64
}

// size asks who knows. QEMU's backup allocates the whole copy, also where the disk has a hole; holes are dug when it is
// done. qemu-img leaves them out.
func (m *Method) size(ctx context.Context, d methods.Disk) (size, error) {
	if d.Domain.Active {
		capacity, err := m.Hypervisor.Capacity(ctx, d.Domain.UUID, d.Target)
		return size{capacity, capacity}, err
	}
	name, err := image.Image{Source: d.Source, Format: d.Format}.HeaderName(ctx)
	if err != nil {
		return size{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, image.InspectTimeout)
	defer cancel()
	out, err := m.Run.Run(ctx, qemuImg, "info", "--output=json", "--backing-chain", name)
	if err != nil {
		return size{}, err
	}
	return parseInfo(out)
}

// parseInfo reads what qemu-img says of an image and of those below it. A storage that does not tell what is allocated
// may be full.
func parseInfo(out []byte) (size, error) {
	var chain []struct {
		Capacity  int64  `json:"virtual-size"`
		Allocated *int64 `json:"actual-size"`
	}
	if err := json.Unmarshal(out, &chain); err != nil {
		return size{}, fmt.Errorf("read what %s says: %w", qemuImg, err)
	}
	if len(chain) == 0 || chain[0].Capacity < 0 {
		return size{}, fmt.Errorf("read what %s says: there is no image of a size", qemuImg)
	}
	s := size{capacity: chain[0].Capacity}
	for _, layer := range chain {
		if layer.Allocated == nil || *layer.Allocated <= 0 {
			return size{s.capacity, s.capacity}, nil
		}
		s.needed += min(*layer.Allocated, s.capacity-s.needed)
	}
	return s, nil
}

// checkRoomForAll adds up what the plan of one disk does not know: all copies of an active domain are made at once, and
// a file system that they fill may be the guests' own.
func checkRoomForAll(refs []methods.Ref) error {
	needed := map[string]int64{}
	for _, ref := range refs {
		if ref.Disk.Domain.Active {
			needed[filepath.Dir(ref.Name)] += ref.Size
		}
	}
	for dir, sum := range needed {
		if err := checkRoom(dir, sum); err != nil {
			return err
		}
	}
	return nil
}

// checkRoom looks at the file system where the directory is or will be.
func checkRoom(dir string, needed int64) error {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	for at := dir; errors.Is(err, fs.ErrNotExist) && at != "/"; {
		at = filepath.Dir(at)
		err = unix.Statfs(at, &st)
	}
	if err != nil {
		return fmt.Errorf("look for room in %s: %w", dir, err)
	}
	if free := int64(st.Bavail) * st.Bsize; free < needed {
		return &methods.Blocked{
			What: fmt.Sprintf("a copy in %s takes up to %d bytes, and %d are free", dir, needed, free),
			Hint: "make room, or name another place in the descriptor: <directory path='/somewhere'/>",
		}
	}
	return nil
}
