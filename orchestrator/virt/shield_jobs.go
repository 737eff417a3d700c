package virt

import (
	"context"
	"fmt"
	"time"

	"github.com/domsnap/domsnap/orchestrator/shield"
)

// pollPivot is how often is asked whether a job has ended.
const pollPivot = 10 * time.Millisecond

// filterOf is the node that a commit puts above the overlay for as long as it is at work.
func filterOf(o shield.Overlay) string { return o.Node + "-c" }

type commitArguments struct {
	Job    string `json:"job-id"`
	Device string `json:"device"`
	Base   string `json:"base-node"`
	Filter string `json:"filter-node-name"`
}

// Commit implements shield.Commits.
func (s shielded) Commit(ctx context.Context, o shield.Overlay) error {
	jobs, err := s.Jobs(ctx)
	if err != nil {
		return err
	}
	if _, ok := jobs[o.Node]; ok {
		return nil
	}
	return s.send(ctx, "block-commit", commitArguments{Job: o.Node, Device: o.Node, Base: o.Base, Filter: filterOf(o)})
}

// blockJob is what is read of one of query-block-jobs.
type blockJob struct {
	Device string `json:"device"`
	Ready  bool   `json:"ready"`
	Offset int64  `json:"offset"`
	Len    int64  `json:"len"`
}

// Jobs implements shield.Commits.
func (s shielded) Jobs(ctx context.Context) (map[string]shield.Job, error) {
	return settled(ctx, s, func(d *Domain) (map[string]shield.Job, error) {
		var all []blockJob
		if err := query(monitor{d.dom}, "query-block-jobs", &all); err != nil {
			return nil, err
		}
		jobs := make(map[string]shield.Job, len(all))
		for _, j := range all {
			jobs[j.Device] = shield.Job{Ready: j.Ready, Done: j.Offset, Total: j.Len}
		}
		return jobs, nil
	})
}

type jobArguments struct {
	ID string `json:"id"`
}

// Pivot implements shield.Commits.
func (s shielded) Pivot(ctx context.Context, all []shield.Overlay) error {
	for _, o := range all {
		if err := s.send(ctx, "job-complete", jobArguments{o.Node}); err != nil {
			return err
		}
	}
	if err := s.ended(ctx, all); err != nil {
		return err
	}
	places, err := s.Places(ctx, all)
	if err != nil {
		return err
	}
	for i, o := range all {
		if places[i] != shield.OnBase {
			return fmt.Errorf("take disk %s off its overlay: the commit has ended and it is still on it", o.Disk.Target)
		}
	}
	return nil
}

type cancelArguments struct {
	Device string `json:"device"`
	Force  bool   `json:"force"`
}

// Cancel implements shield.Commits. A job that has ended meanwhile cannot be cancelled, which is as good.
func (s shielded) Cancel(ctx context.Context, all []shield.Overlay) error {
	jobs, err := s.Jobs(ctx)
	if err != nil {
		return err
	}
	for _, o := range all {
		if _, ok := jobs[o.Node]; ok {
			_ = s.send(ctx, "block-job-cancel", cancelArguments{o.Node, true})
		}
	}
	return s.ended(ctx, all)
}

// ended waits until none of the jobs is at work.
func (s shielded) ended(ctx context.Context, all []shield.Overlay) error {
	for {
		jobs, err := s.Jobs(ctx)
		if err != nil {
			return err
		}
		left := 0
		for _, o := range all {
			if _, ok := jobs[o.Node]; ok {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the commits of the overlays: %w", ctx.Err())
		case <-time.After(pollPivot):
		}
	}
}
