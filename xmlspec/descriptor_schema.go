package xmlspec

import _ "embed"

//go:embed domsnapshot.rng
var schema string

// Schema is the RELAX NG schema of the documents that ParseDescriptor reads. The bodies of the built-in
// methods are in it; an engine's body may be anything.
func Schema() string {
	return schema
}
