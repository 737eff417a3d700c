package methods

import (
	"errors"
	"fmt"
)

// What a method's error can be, for those who decide on it.
var (
	// ErrExists: there is a snapshot of this name already.
	ErrExists = errors.New("already exists")
	// ErrNotFound: the storage does not have it.
	ErrNotFound = errors.New("not found")
	// ErrBroken: it is there and its content is lost.
	ErrBroken = errors.New("is broken")
	// ErrUnsupported: the method cannot do this, ever, for this disk.
	ErrUnsupported = errors.New("not supported")
	// ErrBlocked: something stands in the way that a person can move.
	ErrBlocked = errors.New("blocked")
	// ErrDiffers: two sides that should hold the same do not.
	ErrDiffers = errors.New("differ")
)

// Blocked is an ErrBlocked that says what stands in the way and what to do.
type Blocked struct {
	What string
	// Hint is what to do about it; may be empty.
	Hint string
}

func (b *Blocked) Error() string { return b.What }

// Is makes it an ErrBlocked.
func (b *Blocked) Is(target error) bool { return target == ErrBlocked }

// Blockedf makes a Blocked without a hint.
func Blockedf(format string, args ...any) error {
	return &Blocked{What: fmt.Sprintf(format, args...)}
}

// Unsupported is an ErrUnsupported that says what would be needed.
type Unsupported struct {
	What string
}

func (u *Unsupported) Error() string { return u.What }

// Is makes it an ErrUnsupported.
func (u *Unsupported) Is(target error) bool { return target == ErrUnsupported }

// Unsupportedf makes an Unsupported.
func Unsupportedf(format string, args ...any) error {
	return &Unsupported{What: fmt.Sprintf(format, args...)}
}
