//go:build lab

package fullcopy_test

import (
	"os"
	"testing"

	"github.com/domsnap/domsnap/integration/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }
