package durable_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

var errPlanned = errors.New("planned")

// full is a directory in which no file can be made.
type full struct{ durable.Disk }

func (full) Create(string) (durable.File, error) { return nil, errPlanned }

func TestReplaceSaysJustThatNoFileCanBeMade(t *testing.T) {
	err := durable.Replace(full{durable.Disk{Dir: t.TempDir()}}, "name", nil)
	if !errors.Is(err, errPlanned) || errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
