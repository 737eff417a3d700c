package main

import (
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/domsnap/domsnap/methods"
	"github.com/domsnap/domsnap/methods/engine"
)

const optEngineDir = "engine-dir"

func engineFlag() cli.Flag {
	return &cli.StringFlag{
		Name: optEngineDir, Usage: "look for engines in `DIR`, or in several with colons between them",
		Value: "/usr/local/lib/domsnap/engines:/usr/lib/domsnap/engines", EnvVars: []string{"DOMSNAP_ENGINE_DIR"},
	}
}

// withEngines adds the engines of this host to the methods of this program. Their processes end with their greeting.
func withEngines(c *cli.Context, builtIn methods.Set) (methods.Set, error) {
	dirs := filepath.SplitList(c.String(optEngineDir))
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			return nil, usage("--%s wants absolute paths, not %q", optEngineDir, dir)
		}
	}
	found, err := engine.Find(dirs, builtIn.Names())
	if err != nil {
		return nil, err
	}
	return append(builtIn, engine.LoadAll(c.Context, found, engine.DefaultLimits())...), nil
}
