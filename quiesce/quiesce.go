// Package quiesce holds a guest still for a moment, and lets it go again whatever happens.
//
// A guest is frozen through its agent, so that its file systems are clean, or else paused, so that all its
// disks agree on one instant. The moment is the window; Within opens it, runs what must happen in it and
// closes it. Letting go is not promised but verified. A guardian, a process of its own, lets the guest go
// when this process cannot.
package quiesce

import (
	"context"
	"errors"
	"time"
)

// Guest is a running domain, as far as holding it goes. Every call is bounded by its context.
type Guest interface {
	// Ping asks whether the agent answers.
	Ping(ctx context.Context) error
	// FreezeFilesystems freezes all file systems and says how many.
	FreezeFilesystems(ctx context.Context) (int, error)
	// ThawFilesystems thaws all file systems and says how many. Thawing what is not frozen is no error.
	ThawFilesystems(ctx context.Context) (int, error)
	// Frozen asks the agent whether file systems are frozen.
	Frozen(ctx context.Context) (bool, error)
	// Pause stops the virtual CPUs; it has flushed the disks when it returns.
	Pause(ctx context.Context) error
	// Resume lets them run. Resuming a running guest is no error.
	Resume(ctx context.Context) error
}

// Policy says what becomes of a snapshot when the agent does not answer.
type Policy string

// The policies, as the command line names them.
const (
	// Require: no snapshot without frozen file systems.
	Require Policy = "require"
	// Try: freeze when the agent answers, else pause.
	Try Policy = "try"
	// No: do not ask the agent; pause.
	No Policy = "no"
)

// Level is how consistent a snapshot is.
type Level string

// The levels, best first.
const (
	// Offline: the domain was off.
	Offline Level = "offline"
	// Filesystem: the file systems were frozen.
	Filesystem Level = "filesystem"
	// Crash: as after pulling the plug.
	Crash Level = "crash"
)

// The bounds of a window.
const (
	// PingTimeout bounds the question whether the agent answers.
	PingTimeout = 3 * time.Second
	// FreezeTimeout is the default bound of the freeze.
	FreezeTimeout = 10 * time.Second
	// MaxFreezeTimeout is the most that may be asked for.
	MaxFreezeTimeout = 60 * time.Second
	// HoldLimit bounds the time between freeze and thaw; the acts are given up when it is over.
	HoldLimit = 30 * time.Second
	// ReleaseTimeout is how long letting go is tried before it is called unconfirmed.
	ReleaseTimeout = 180 * time.Second
)

// ErrNotQuiesced: freezing was required and did not happen. Nothing was run in the window.
var ErrNotQuiesced = errors.New("the guest's file systems could not be frozen")

// ErrNotReleased: the guest could not be confirmed thawed or resumed.
var ErrNotReleased = errors.New("the guest could not be confirmed thawed and resumed")

// ErrGone: there is no guest to let go any more; it was powered off, or crashed.
var ErrGone = errors.New("the guest does not run any more")

// ErrFrozen: somebody else holds the guest frozen. It was left alone.
var ErrFrozen = errors.New("the guest is frozen already, by somebody else")

// ErrHoldLost: the guest went on before the window was over, so the disks may not agree.
var ErrHoldLost = errors.New("the guest went on before all snapshots were taken")

// Options say how to hold a guest.
type Options struct {
	Policy Policy
	// NoPause forbids to pause. A guest that cannot be frozen then is not held at all.
	NoPause bool
	// OneInstant: the act is of one instant by itself, so that a guest that cannot be frozen need not be paused for it.
	OneInstant bool
	// AlsoPause pauses although the file systems are frozen, for disks that they do not cover.
	AlsoPause     bool
	FreezeTimeout time.Duration
	HoldLimit     time.Duration
	// Guardian is told of every hold before it is made.
	Guardian Guardian
}

// Guardian lets the guest go when this process cannot.
type Guardian interface {
	// Holding says that the guest is about to be held in this way, in addition to what was said before.
	Holding(h Hold) error
	// Released says that the guest is confirmed to go on.
	Released() error
	// Watch says that a freeze may still come, so that it is looked for after we are gone.
	Watch() error
}

// Hold is a way of holding a guest.
type Hold string

// The ways.
const (
	HoldFreeze Hold = "freeze"
	HoldPause  Hold = "pause"
)

// Report is what was done to the guest.
type Report struct {
	Level Level
	// Held says that the guest was frozen or paused while the act ran.
	Held           bool
	Frozen, Thawed int
	// FrozenFor runs from just before the freeze is sent until the thaw is confirmed.
	FrozenFor time.Duration
	// PausedFor runs from just before the pause until the guest is confirmed running.
	PausedFor time.Duration
	// Notes say, for people, what did not go as well as it could.
	Notes []string
}
