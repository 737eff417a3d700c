package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/domsnap/domsnap/methods"
)

// Version is the version of the protocol that domsnap speaks.
const Version = 1

// verbs are the optional verbs an engine may declare.
type verbs struct {
	methods.Verbs
	Probe bool `json:"probe"`
}

// greeting is the first line of an engine.
type greeting struct {
	Protocol int            `json:"protocol"`
	Traits   methods.Traits `json:"traits"`
	Verbs    verbs          `json:"verbs"`
}

// launch starts an engine and greets it.
func launch(ctx context.Context, file File, l Limits) (*session, greeting, error) {
	proc, err := startProcess(file.Path)
	if err != nil {
		return nil, greeting{}, &Error{Engine: file.Name, Verb: "greeting", Err: err}
	}
	s := &session{name: file.Name, limits: l, proc: proc}
	g, err := s.greet(ctx)
	return s, g, err
}

// greet is no request: what follows it depends on the version.
func (s *session) greet(ctx context.Context) (greeting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := call{verb: "greeting", wait: patience{total: s.limits.Greeting}}
	defer s.heed(ctx, c)()
	g, err := s.readGreeting(ctx, c)
	if err != nil {
		return g, s.abort(ctx, c, err)
	}
	return g, nil
}

func (s *session) readGreeting(ctx context.Context, c call) (g greeting, err error) {
	due := c.wait.until(time.Now())
	if err = s.send(map[string]int{"protocol": Version}, due); err != nil {
		return g, err
	}
	line, err := s.receive(ctx, due)
	if err != nil {
		return g, err
	}
	if err = checkVersion(line); err != nil {
		return g, err
	}
	if err = decode(line, &g); err != nil {
		return g, err
	}
	g.Traits.Name, g.Traits.Mode = s.name, ""
	return g, checkGreeting(g)
}

// checkVersion looks at nothing else, which may be different in another version.
func checkVersion(line []byte) error {
	var v struct {
		Protocol *int `json:"protocol"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return fmt.Errorf("read %s: %w", shorten(line), err)
	}
	if v.Protocol == nil {
		return fmt.Errorf("a greeting without a protocol version: %s", shorten(line))
	}
	if *v.Protocol != Version {
		return methods.Unsupportedf("it speaks version %d of the protocol, and domsnap version %d", *v.Protocol, Version)
	}
	return nil
}

func checkGreeting(g greeting) error {
	t := g.Traits
	if err := checkText("summary", t.Summary, 200); err != nil {
		return err
	}
	for _, c := range []methods.Cost{t.TakeCost, t.RevertCost} {
		if c != methods.CostNothing && c != methods.CostChanged && c != methods.CostSize {
			return fmt.Errorf("the unknown cost %q", c)
		}
	}
	if g.Verbs.Keep && !g.Verbs.Revert {
		return errors.New("the verb keep without the verb revert")
	}
	return nil
}
