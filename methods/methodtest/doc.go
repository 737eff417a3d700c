// Package methodtest is the suite that every method passes. A method's test is a fixture and one call:
//
//	func TestSuite(t *testing.T) {
//		methodtest.Run(t, methodtest.Suite{Name: "zfs", New: func(t methodtest.T) methodtest.Fixture {
//			return methodtest.Fixture{Method: zfs.New(), Disks: image.Access{}, NewDisk: newVolume}
//		}})
//	}
//
// Each check works on disks of its own, of a domain that is off, and looks at the end whether it has left anything
// behind. What a method does not claim to have is not checked, and everything it claims is; a check that it may
// fail nevertheless is waived in the Suite, with a reason.
//
// A method that snapshots raw files has its fixture ready:
//
//	methodtest.Run(t, methodtest.Suite{
//		Name: "copy", New: methodtest.ForFile(methodtest.FileOptions{Method: copy.New()}),
//	})
//
// The same goes for an engine, which is a method to the suite as any other.
//
// When DOMSNAP_SUITE_DIR names a directory, Run leaves there what became of every check. integration/suite/table
// prints a table of all that it finds there.
package methodtest
