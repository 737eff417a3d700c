package methods

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Set is the methods a program was built with, in the order in which they are shown.
type Set []Method

// Get finds a method by the name and the mode that descriptors and records use: the one of just this mode, or else
// the one of the name that takes the others.
func (s Set) Get(name, mode string) (Method, error) {
	var found Method
	for _, m := range s {
		t := m.Traits()
		if t.Name == name && (t.Mode == mode || t.Mode == "" && found == nil) {
			found = m
		}
	}
	if found == nil {
		return nil, Unsupportedf("there is no method %q: choose one of %s", name, strings.Join(s.Names(), ", "))
	}
	return found, nil
}

// Names lists the methods' names, each once.
func (s Set) Names() []string {
	var names []string
	for _, m := range s {
		if name := m.Traits().Name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Default is the method that claims the disk with the highest rank, and its claim. No claim at all is
// ErrUnsupported.
func (s Set) Default(ctx context.Context, disk Disk) (Method, Claim, error) {
	type offer struct {
		method Method
		claim  Claim
	}
	offers := make([]offer, 0, len(s))
	for _, m := range s {
		if c := ClaimDisk(ctx, m, disk); c.Rank > 0 {
			offers = append(offers, offer{m, c})
		}
	}
	if len(offers) == 0 {
		return nil, Claim{}, fmt.Errorf("choose a method for disk %s (%s): %w", disk.Target, disk.Source, ErrUnsupported)
	}
	sort.SliceStable(offers, func(i, j int) bool { return offers[i].claim.Rank > offers[j].claim.Rank })
	return offers[0].method, offers[0].claim, nil
}
