package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/domsnap/domsnap/methods/trace"
	"github.com/domsnap/domsnap/orchestrator/lease"
	"github.com/domsnap/domsnap/orchestrator/request"
)

// AtShutdown is a revert that is asked for at a domain's next shutdown, as the verbs answer it.
type AtShutdown struct {
	Domain     string    `json:"domain"`
	DomainUUID string    `json:"domain_uuid"`
	Snapshot   string    `json:"snapshot"`
	Disks      []string  `json:"disks"`
	StateAfter State     `json:"state_after"`
	Asked      time.Time `json:"asked"`
	// Failed says why the last attempt did not work; absent for none.
	Failed string `json:"failed,omitempty"`
	// Instead is the snapshot of the request whose place this one has taken.
	Instead *string `json:"instead"`
	// Due says that the domain is off, so that it can be done.
	Due bool `json:"due"`
}

// requestsOf are the requests below a state directory.
func requestsOf(stateDir string) request.Store {
	return request.Store{Dir: filepath.Join(stateDir, "at-shutdown")}
}

// Asked says whether something is asked for at the shutdown of the domain. It looks for one file, takes no lock and asks no
// hypervisor, since the hypervisor waits for the answer. One that cannot be read counts.
func Asked(stateDir, uuid string) bool {
	r, err := requestsOf(stateDir).Get(uuid)
	return r != nil || err != nil
}

// RevertAtShutdown asks for a revert when the domain is off next, durably. It changes nothing else, and takes the place of a
// request that there is. It fails where Revert would know beforehand that it fails, and with ErrRefused where the domain
// is off already or the snapshot is temporary.
func (o *Orchestrator) RevertAtShutdown(ctx context.Context, opts RevertOptions) (_ *AtShutdown, err error) {
	ctx, op, err := o.begin(ctx, opts.Domain)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	r := op.reversion(opts)
	if err := r.planAtShutdown(ctx); err != nil {
		return nil, err
	}
	// Who may not revert may not have it done later by who may.
	if err := r.authorize(ctx); err != nil {
		return nil, err
	}
	before := op.asked
	op.asked = r.request()
	if err := trace.Do(ctx, "write the request", func() error { return op.requests.Put(*op.asked) }); err != nil {
		return nil, err
	}
	// It may have gone off before there was anything for the hook to find.
	if err := op.refresh(ctx); err != nil {
		return nil, err
	}
	v := op.viewAsked()
	if before != nil {
		v.Instead = &before.Name
	}
	return v, nil
}

// planAtShutdown is plan for a revert that waits until the domain is off.
func (r *reversion) planAtShutdown(ctx context.Context) error {
	r.opts.AtShutdown = true
	r.opts.After = State(orElse(string(r.opts.After), string(Shutoff)))
	if err := r.plan(ctx); err != nil {
		return err
	}
	if r.before == Shutoff {
		return refuse("leave --at-shutdown out", "domain %s is off already", r.desc.Name)
	}
	if leaseOf(r.to) != (lease.Lease{}) {
		return refuse("choose one that stays", "snapshot %q is temporary, and may be gone by then", r.to.Name)
	}
	return nil
}

func (r *reversion) request() *request.Revert {
	asked := &request.Revert{
		Domain: r.desc.Name, UUID: r.desc.UUID, Snapshot: r.to.ID, Name: r.to.Name, Disks: r.opts.Disks,
		After: string(r.after), NoSafety: r.opts.NoSafety, Verify: r.opts.Verify, Asked: r.Now().UTC(),
	}
	for _, m := range r.opts.Map {
		asked.Map = append(asked.Map, request.Move(m))
	}
	return asked
}

// CancelRevert takes back what RevertAtShutdown has asked for. It fails with ErrNotFound where no revert to the snapshot, by
// its name or its id, is asked for. A request that cannot be read is taken away.
func (o *Orchestrator) CancelRevert(ctx context.Context, domain, snapshot string) (_ *AtShutdown, err error) {
	ctx, op, err := o.begin(ctx, domain)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.end()) }()
	asked, err := op.requests.Get(op.desc.UUID)
	if errors.Is(err, request.ErrDamaged) {
		asked = &request.Revert{Name: snapshot}
	} else if err != nil {
		return nil, err
	}
	if asked == nil || snapshot != asked.Snapshot && snapshot != asked.Name && snapshot != op.called(asked.Snapshot) {
		return nil, notFound("see what is asked for: domsnap snapshot-list "+op.desc.Name,
			"no revert of domain %s to snapshot %q is asked for at its shutdown", op.desc.Name, snapshot)
	}
	op.asked = asked
	v := op.viewAsked()
	_, err = op.withdraw(ctx)
	return v, err
}

// withdraw takes away what is asked for at the shutdown, and gives the snapshot's name; nil for none.
func (op *operation) withdraw(ctx context.Context) (*string, error) {
	asked, err := op.requests.Get(op.desc.UUID)
	if asked == nil && err == nil {
		return nil, nil
	}
	// Also one that cannot be read.
	err = trace.Do(ctx, "take the request back", func() error { return op.requests.Remove(op.desc.UUID) })
	op.asked = nil
	if asked == nil {
		return nil, err
	}
	return &asked.Name, err
}

// findAsked reads what is asked for at the shutdown.
func (op *operation) findAsked() (err error) {
	op.asked, err = op.requests.Get(op.desc.UUID)
	if errors.Is(err, request.ErrDamaged) {
		err = refuse(op.forgetAsked(), "%w", err)
	}
	return err
}

func (op *operation) forgetAsked() string {
	return "ask for it again, or give it up by removing " + op.requests.Path(op.desc.UUID)
}

// asksFor says that the domain reverts to the snapshot at its next shutdown.
func (op *operation) asksFor(id string) bool { return op.asked != nil && op.asked.Snapshot == id }

// checkNotAsked refuses to delete what the domain is to revert to.
func (op *operation) checkNotAsked(ids []string) error {
	if err := op.findAsked(); err != nil {
		return err
	}
	if op.asked == nil || !slices.Contains(ids, op.asked.Snapshot) {
		return nil
	}
	name := op.called(op.asked.Snapshot)
	return refuse("take that back first: "+op.cancelAsked(), "domain %s reverts to snapshot %s at its next shutdown", op.desc.Name, name)
}

// cancelAsked is the command for people to type.
func (op *operation) cancelAsked() string {
	return fmt.Sprintf("domsnap snapshot-revert %s %s --cancel", op.desc.Name, op.called(op.asked.Snapshot))
}

func (op *operation) viewAsked() *AtShutdown {
	name := op.asked.Name
	if now := op.nameOf(op.asked.Snapshot); now != nil {
		name = *now
	}
	return &AtShutdown{
		Domain: op.desc.Name, DomainUUID: op.desc.UUID, Snapshot: name,
		Disks: nonNil(op.asked.Disks), StateAfter: State(op.asked.After), Asked: op.asked.Asked, Failed: op.asked.Failed, Due: op.due(),
	}
}
