package shield

import (
	"context"
	"fmt"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// await returns when the commits are as far as they get while the guest goes on.
func (s *Shield) await(ctx context.Context, raised []Overlay, progress methods.Progress) error {
	best, since := int64(-1), time.Now()
	for {
		done, total, ready, err := s.look(ctx, raised)
		if err != nil || ready {
			return err
		}
		progress.Report(done, total)
		if left := total - done; best < 0 || left < best {
			best, since = left, time.Now()
		}
		if time.Since(since) > patience {
			return nil
		}
		if err := sleep(ctx); err != nil {
			return err
		}
	}
}

// converge waits until both sides of every commit are the same, the guest standing still.
func (s *Shield) converge(ctx context.Context, raised []Overlay) error {
	for {
		done, total, ready, err := s.look(ctx, raised)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || ready && done == total {
			return err
		}
		if err := sleep(ctx); err != nil {
			return err
		}
	}
}

// look sums up how far the commits are.
func (s *Shield) look(ctx context.Context, raised []Overlay) (done, total int64, ready bool, err error) {
	jobs, err := s.Domain.Jobs(ctx)
	if err != nil {
		return 0, 0, false, err
	}
	ready = true
	for _, o := range raised {
		job, ok := jobs[o.Node]
		if !ok {
			return 0, 0, false, fmt.Errorf("commit overlay of disk %s: the job has ended without its end", o.Disk.Target)
		}
		done, total, ready = done+job.Done, total+job.Total, ready && job.Ready
	}
	return done, total, ready, nil
}

func sleep(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pollJobs):
		return nil
	}
}
