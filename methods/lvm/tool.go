package lvm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
)

// Check says whether the LVM tools are installed and the kernel has a device-mapper.
func (m *Method) Check(context.Context) error {
	if p := command.Missing("lvs", "vgs", "lvcreate", "lvchange", "lvrename", "lvremove", "vgcfgbackup", "dmsetup"); p != "" {
		return missingTool(p)
	}
	control, err := os.OpenFile(m.dev+"/mapper/control", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return methods.Unsupportedf("this kernel has no device-mapper (module dm-mod)")
	}
	if err != nil {
		return fmt.Errorf("ask device-mapper: %w", err)
	}
	return control.Close()
}

func missingTool(program string) error {
	pack := "lvm2"
	if program == thinDelta {
		pack = "thin-provisioning-tools"
	}
	return methods.Unsupportedf("the program %s is missing: install the package %s", program, pack)
}

// ask runs a tool that only reads, or takes what it has said where the context remembers it.
func (m *Method) ask(ctx context.Context, tool string, args ...string) ([]byte, error) {
	out, err := command.Ask(ctx, m.run, tool, args...)
	return out, orMissing(tool, err)
}

func orMissing(tool string, err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return missingTool(tool)
	}
	return err
}

// change runs a tool that writes, to its end even if the context ends meanwhile: killed half-way it can leave
// the origin suspended, and whoever reads it hangs until somebody resumes it by hand.
func (m *Method) change(ctx context.Context, tool string, args ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.do(context.WithoutCancel(ctx), tool, args...)
}

// do runs a tool that writes, and may be ended with the context.
func (m *Method) do(ctx context.Context, tool string, args ...string) error {
	_, err := m.run.Run(ctx, tool, args...)
	return orMissing(tool, err)
}

// group reads a volume group with one process.
func (m *Method) group(ctx context.Context, groupName string) (group, error) {
	out, err := m.ask(ctx, "lvs", "--reportformat", "json", "--binary", "--units", "b", "--nosuffix",
		"--options", volumeFields, groupName)
	if err != nil {
		return group{}, fmt.Errorf("list volume group %s: %w", groupName, err)
	}
	rows, err := decodeReport[volume](out, "lv")
	if err != nil {
		return group{}, fmt.Errorf("list volume group %s: %w", groupName, err)
	}
	return group{groupName, rows}, nil
}

// groupWhenClosed reads a volume group, for a while again and again as long as somebody has the volume open: udev
// looks into every device for a moment after a writer has closed it.
func (m *Method) groupWhenClosed(ctx context.Context, n name) (group, error) {
	for end := time.Now().Add(m.patience); ; {
		g, err := m.group(command.WithMemory(ctx), n.group)
		if v, _ := g.find(n.volume); err != nil || !bool(v.Open) || !time.Now().Before(end) {
			return g, err
		}
		select {
		case <-ctx.Done():
			return group{}, ctx.Err()
		case <-time.After(m.patience / 20):
		}
	}
}

var devicePattern = regexp.MustCompile(`^/dev/[A-Za-z0-9+_.:@/-]+$`)

// physicalVolume is a device of a volume group as vgs reports it.
type physicalVolume struct {
	Name string `json:"pv_name"`
}

// physicalVolumes are the devices that a volume group lies on, for --devices: a tool that looks at nothing
// else is a third quicker.
func (m *Method) physicalVolumes(ctx context.Context, groupName string) ([]string, error) {
	out, err := m.ask(ctx, "vgs", "--reportformat", "json", "--options", "pv_name", groupName)
	if err != nil {
		return nil, fmt.Errorf("list devices of volume group %s: %w", groupName, err)
	}
	rows, err := decodeReport[physicalVolume](out, "vg")
	if err != nil {
		return nil, fmt.Errorf("list devices of volume group %s: %w", groupName, err)
	}
	var paths []string
	for _, r := range rows {
		if !devicePattern.MatchString(r.Name) {
			return nil, &methods.Blocked{
				What: fmt.Sprintf("volume group %s has a physical volume %q that is missing or cannot be named", groupName, r.Name),
				Hint: "see: pvs -a; vgs " + groupName,
			}
		}
		paths = append(paths, r.Name)
	}
	return paths, nil
}
