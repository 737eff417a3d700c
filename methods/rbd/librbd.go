//go:build rbd

package rbd

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/ceph/go-ceph/rados"
	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

// available says what is missing: nothing, in this build.
func available() error { return nil }

// settings are what differs from the client's configuration.
var settings = []struct{ option, value string }{
	// These bound every call to the cluster, in seconds; librados would wait for ever. A snapshot that another client
	// makes has a limit of its own, 30 s, in librbd.
	{"client_mount_timeout", "15"},
	{"rados_mon_op_timeout", "15"},
	{"rados_osd_op_timeout", "30"},
	// So many objects a rollback or a comparison has under way at a time. With the default, 10, it mostly waits for answers.
	{"rbd_concurrent_management_ops", "32"},
	// Nothing is read or written twice here: a cache would only be one more copy.
	{"rbd_cache", "false"},
	// Nobody would read the logs that the client keeps in memory for its crash.
	{"debug_ms", "0/0"},
	{"debug_monc", "0/0"},
	{"debug_objectcacher", "0/0"},
	{"debug_objecter", "0/0"},
	{"debug_rados", "0/0"},
	{"debug_rbd", "0/0"},
	{"debug_auth", "0/0"},
}

// connection is a cluster, confined to one pool and namespace.
type connection struct {
	conn  *rados.Conn
	ioctx *rados.IOContext
}

// turns are of the process, as librados is: it does not bear it when one connection is made while another ends. Many may
// be made at once.
var turns sync.RWMutex

func connect(image methods.RBDImage) (cluster, error) {
	conn, err := dial(image)
	if err != nil {
		return nil, err
	}
	ioctx, err := conn.OpenIOContext(image.Pool)
	if err != nil {
		shutdown(conn)
		return nil, fmt.Errorf("open pool %s: %w", image.Pool, typed(err))
	}
	ioctx.SetNamespace(image.Namespace)
	return &connection{conn, ioctx}, nil
}

func dial(image methods.RBDImage) (*rados.Conn, error) {
	turns.RLock()
	defer turns.RUnlock()
	conn, err := configure(image)
	if err != nil {
		return nil, err
	}
	if err := conn.Connect(); err != nil {
		return nil, fmt.Errorf("connect to Ceph at %s: %w", monitors(conn), number(err))
	}
	return conn, nil
}

func shutdown(conn *rados.Conn) {
	turns.Lock()
	defer turns.Unlock()
	conn.Shutdown()
}

// configure makes a connection that is not connected yet. The keyring is the one that the configuration names.
func configure(image methods.RBDImage) (*rados.Conn, error) {
	conn, err := newConn(image.User)
	if err != nil {
		return nil, fmt.Errorf("set up librados: %w", number(err))
	}
	if err := readConfig(conn, image); err != nil {
		return nil, err
	}
	for _, s := range settings {
		if err := conn.SetConfigOption(s.option, s.value); err != nil {
			return nil, fmt.Errorf("set %s: %w", s.option, number(err))
		}
	}
	return conn, nil
}

// newConn makes a connection that ends by shutdown alone: go-ceph's finalizer would wait for no turn. One that never
// connected cannot be shut down, and stays for as long as the process does.
func newConn(user string) (conn *rados.Conn, err error) {
	if user == "" {
		conn, err = rados.NewConn()
	} else {
		conn, err = rados.NewConnWithUser(user)
	}
	if err == nil {
		runtime.SetFinalizer(conn, nil)
	}
	return conn, err
}

// monitors are the ones that the configuration names.
func monitors(conn *rados.Conn) string {
	hosts, err := conn.GetConfigOption("mon_host")
	if err != nil || hosts == "" {
		return "no monitor that the configuration names"
	}
	return hosts
}

func (c *connection) read(image string) (reader, error) {
	opened, err := rbd.OpenImageReadOnly(c.ioctx, image, rbd.NoSnapshot)
	if err != nil {
		return nil, typed(err)
	}
	return &readImage{opened, c, time.Now()}, nil
}

func (c *connection) write(image string) (writer, error) {
	opened, err := rbd.OpenImage(c.ioctx, image, rbd.NoSnapshot)
	if err != nil {
		return nil, typed(err)
	}
	return &writeImage{&readImage{opened, c, time.Now()}}, nil
}

func (c *connection) close() {
	c.ioctx.Destroy()
	shutdown(c.conn)
}

// typed gives Ceph's answer about a pool, an image or a snapshot the meaning it has in the contract.
func typed(err error) error {
	err = number(err)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return methods.ErrNotFound
	case errors.Is(err, syscall.EEXIST):
		return methods.ErrExists
	case errors.Is(err, syscall.EROFS):
		return methods.Blockedf("another client has the lock, or the image is a mirror's copy (%v)", err)
	case errors.Is(err, syscall.EBUSY):
		return methods.Blockedf("it is in use (%v)", err)
	default:
		return err
	}
}

// number is an error's number, without a meaning in the contract: a keyring or a configuration that does not
// exist says nothing of the snapshot.
func number(err error) error {
	var ceph interface{ ErrorCode() int }
	if !errors.As(err, &ceph) {
		return err
	}
	return syscall.Errno(max(ceph.ErrorCode(), -ceph.ErrorCode()))
}
