//go:build lab

package pool_test

import (
	"os"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }
