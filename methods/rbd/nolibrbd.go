//go:build !rbd

package rbd

import "github.com/domsnap/domsnap/methods"

// available says what is missing.
func available() error {
	return methods.Unsupportedf("this domsnap was built without librbd: install the package domsnap-rbd")
}

func connect(methods.RBDImage) (cluster, error) { return nil, available() }
