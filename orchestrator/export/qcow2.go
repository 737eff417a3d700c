package export

import (
	"context"
	"fmt"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/command"
	"github.com/domsnap/domsnap/methods/image"
)

const (
	clusterSize = 64 << 10
	sectorSize  = 512
)

// openQcow2 makes an image without a backing file and opens it through QEMU. What is written as zeroes becomes zero clusters.
func openQcow2(ctx context.Context, p *partial, size int64) (sink, error) {
	name := image.Itself(p.file)
	size = (size + sectorSize - 1) / sectorSize * sectorSize
	_, err := command.Host{}.Run(ctx, "qemu-img", "create", "-q", "-f", Qcow2,
		"-o", fmt.Sprintf("compat=1.1,cluster_size=%d", clusterSize), name, fmt.Sprint(size))
	if err != nil {
		return nil, err
	}
	return image.Access{}.OpenDisk(ctx, methods.Disk{Format: Qcow2, Source: methods.Source{File: name}})
}
