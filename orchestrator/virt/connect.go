// Package virt is the only room that speaks to libvirt. Everything else sees domains through small interfaces.
package virt

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"libvirt.org/go/libvirt"

	"github.com/domsnap/domsnap/orchestrator"
	"github.com/domsnap/domsnap/xmlspec"
)

// Host is a connection to libvirt, which is made again when the daemon at its other end was.
type Host struct {
	uri    string
	places places
	mu     sync.Mutex
	conn   *libvirt.Connect
	// acting is held while something that moves disks is on its way, and while somebody looks what came of it.
	acting sync.Mutex
}

// Connect opens a read-write connection; an empty URI is libvirt's own default, as for virsh.
func Connect(ctx context.Context, uri string) (*Host, error) {
	conn, err := bounded(ctx, func() (*libvirt.Connect, error) { return dial(ctx, uri) })
	if err != nil {
		return nil, &orchestrator.Problem{
			Kind: orchestrator.ErrFailed, Err: fmt.Errorf("connect to libvirt: %w", err),
			Hint: "see whether its daemon runs: systemctl status libvirtd virtqemud; or name another with --connect",
		}
	}
	// The URI is libvirt's own where none was given.
	said, err := conn.GetURI()
	if err != nil {
		return nil, fmt.Errorf("ask libvirt for its URI: %w", err)
	}
	return &Host{uri: uri, places: placesOf(said), conn: conn}, nil
}

// dial leaves no connection open that comes when nobody waits for it any more.
func dial(ctx context.Context, uri string) (*libvirt.Connect, error) {
	conn, err := libvirt.NewConnect(uri)
	if err == nil && ctx.Err() != nil {
		_, err = conn.Close()
		return nil, errors.Join(ctx.Err(), err)
	}
	return conn, err
}

// live is the connection, or another one when it has ended.
func (h *Host) live() (*libvirt.Connect, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if alive, err := h.conn.IsAlive(); err == nil && alive {
		return h.conn, nil
	}
	conn, err := libvirt.NewConnect(h.uri)
	if err != nil {
		return nil, fmt.Errorf("connect to libvirt again: %w", err)
	}
	// Nothing can be said by the old one any more.
	_, _ = h.conn.Close()
	h.conn = conn
	return conn, nil
}

// find looks a domain up that was there before.
func (h *Host) find(uuid string) (*libvirt.Domain, error) {
	conn, err := h.live()
	if err != nil {
		return nil, err
	}
	return findOn(conn, uuid)
}

func findOn(conn *libvirt.Connect, uuid string) (*libvirt.Domain, error) {
	dom, err := conn.LookupDomainByUUIDString(uuid)
	if err != nil {
		return nil, fmt.Errorf("look up domain %s: %w", uuid, err)
	}
	return dom, nil
}

// Close ends the connection, or leaves it to the end of the process where libvirt does not answer.
func (h *Host) Close() error {
	return doWithin(context.Background(), closeLimit, func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		_, err := h.conn.Close()
		return err
	})
}

// Domain finds a domain as virsh does: by id, by UUID, by name.
func (h *Host) Domain(ctx context.Context, name string) (orchestrator.Domain, error) {
	return bounded(ctx, func() (orchestrator.Domain, error) {
		return again(h.live, func(conn *libvirt.Connect) (orchestrator.Domain, error) { return h.domainOn(conn, name) })
	})
}

func (h *Host) domainOn(conn *libvirt.Connect, name string) (orchestrator.Domain, error) {
	dom, err := lookup(conn, name)
	if err != nil {
		return nil, err
	}
	uuid, err := dom.GetUUIDString()
	if err != nil {
		return nil, fmt.Errorf("ask for the UUID of domain %q: %w", name, err)
	}
	return &Domain{host: h, conn: conn, uuid: uuid, dom: dom}, nil
}

// again calls by the connection that there is, and once more where there is another by then: that the daemon at its end has
// ended may show in no more than a call that fails. It is for calls that may be made twice.
func again[C comparable, T any](connect func() (C, error), call func(C) (T, error)) (T, error) {
	conn, err := connect()
	if err != nil {
		var none T
		return none, err
	}
	value, err := call(conn)
	if err == nil {
		return value, nil
	}
	if another, connectErr := connect(); connectErr == nil && another != conn {
		return call(another)
	}
	return value, err
}

// Domains implements orchestrator.Hypervisor.
func (h *Host) Domains(ctx context.Context) ([]string, error) {
	return bounded(ctx, func() ([]string, error) {
		conn, err := h.live()
		if err != nil {
			return nil, err
		}
		all, err := conn.ListAllDomains(0)
		if err != nil {
			return nil, fmt.Errorf("list domains: %w", err)
		}
		uuids := make([]string, len(all))
		for i := range all {
			var uuidErr error
			uuids[i], uuidErr = all[i].GetUUIDString()
			err = errors.Join(err, uuidErr, all[i].Free())
		}
		return uuids, err
	})
}

func lookup(conn *libvirt.Connect, name string) (*libvirt.Domain, error) {
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		if dom, err := conn.LookupDomainById(uint32(id)); err == nil {
			return dom, nil
		}
	}
	if dom, err := conn.LookupDomainByUUIDString(name); err == nil {
		return dom, nil
	}
	dom, err := conn.LookupDomainByName(name)
	if isCode(err, libvirt.ERR_NO_DOMAIN) {
		return nil, &orchestrator.Problem{
			Kind: orchestrator.ErrNotFound, Err: fmt.Errorf("there is no domain %q", name), Hint: "see which there are: domsnap domains",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look up domain %q: %w", name, err)
	}
	return dom, nil
}

// Volume implements orchestrator.Hypervisor.
func (h *Host) Volume(ctx context.Context, pool, name string) (xmlspec.DiskSource, error) {
	return bounded(ctx, func() (xmlspec.DiskSource, error) { return h.volume(pool, name) })
}

func (h *Host) volume(pool, name string) (xmlspec.DiskSource, error) {
	none := xmlspec.DiskSource{}
	conn, err := h.live()
	if err != nil {
		return none, err
	}
	p, err := conn.LookupStoragePoolByName(pool)
	if err != nil {
		return none, fmt.Errorf("look up pool %q: %w", pool, err)
	}
	defer p.Free()
	v, err := p.LookupStorageVolByName(name)
	if err != nil {
		return none, fmt.Errorf("look up volume %q of pool %q: %w", name, pool, err)
	}
	defer v.Free()
	path, err := v.GetPath()
	if err != nil {
		return none, fmt.Errorf("ask volume %q for its path: %w", name, err)
	}
	info, err := v.GetInfo()
	if err != nil {
		return none, fmt.Errorf("ask volume %q for its kind: %w", name, err)
	}
	switch info.Type {
	case libvirt.STORAGE_VOL_FILE:
		return xmlspec.DiskSource{File: path}, nil
	case libvirt.STORAGE_VOL_BLOCK:
		return xmlspec.DiskSource{Block: path}, nil
	case libvirt.STORAGE_VOL_NETWORK:
		return xmlspec.DiskSource{RBD: &xmlspec.RBDSource{Name: path}}, nil
	default:
		return xmlspec.DiskSource{Other: "volume " + path}, nil
	}
}

// secondsLeft is what is left of ctx in libvirt's unit, rounded up, at least one.
func secondsLeft(ctx context.Context, most time.Duration) int {
	left := most
	if end, ok := ctx.Deadline(); ok && time.Until(end) < left {
		left = time.Until(end)
	}
	return max(1, int((left+time.Second-1)/time.Second))
}

func isCode(err error, code libvirt.ErrorNumber) bool {
	var e libvirt.Error
	return errors.As(err, &e) && e.Code == code
}
