package image

import (
	"net"
	"os"
	"path/filepath"

	"github.com/domsnap/domsnap/methods"
)

// protocolOf is the source as one of QEMU's protocol drivers; the keys are those of its BlockdevOptions.
func protocolOf(s methods.Source) (map[string]any, error) {
	switch {
	case s.Path() != "" && !filepath.IsAbs(s.Path()):
		return nil, methods.Unsupportedf("%q is not an absolute path", s.Path())
	case s.Path() != "":
		return local(s.Path()), nil
	case s.RBD != nil:
		return rbd(s.RBD), nil
	case s.Network != nil:
		return network(s.Network)
	default:
		return nil, methods.Unsupportedf("a disk on %s cannot be opened", s)
	}
}

func local(path string) map[string]any {
	driver := "file"
	if st, err := os.Stat(path); err == nil && st.Mode()&os.ModeDevice != 0 {
		driver = "host_device"
	}
	return map[string]any{"driver": driver, "filename": path}
}

func rbd(r *methods.RBDImage) map[string]any {
	node := map[string]any{"driver": "rbd", "pool": r.Pool, "image": r.Image}
	for key, value := range map[string]string{"namespace": r.Namespace, "user": r.User, "conf": r.Config, "snapshot": r.Snapshot} {
		if value != "" {
			node[key] = value
		}
	}
	var servers []any
	for _, m := range r.Monitors {
		if host, port, err := net.SplitHostPort(m); err == nil {
			servers = append(servers, map[string]any{"host": host, "port": port})
		}
	}
	if len(servers) > 0 {
		node["server"] = servers
	}
	return node
}

// network knows the protocols that need no secret.
func network(n *methods.NetworkSource) (map[string]any, error) {
	if n.Secured {
		return nil, methods.Unsupportedf("%s needs TLS or a secret, which libvirt keeps to itself", n)
	}
	if n.Protocol != "nbd" {
		return nil, methods.Unsupportedf("network disks of protocol %s cannot be opened", n.Protocol)
	}
	server := map[string]any{"type": "inet", "host": n.Host, "port": orElse(n.Port, "10809")}
	if n.Socket != "" {
		server = map[string]any{"type": "unix", "path": n.Socket}
	}
	return map[string]any{"driver": "nbd", "server": server, "export": n.Name}, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
