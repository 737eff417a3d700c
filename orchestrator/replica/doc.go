// Package replica keeps copies of snapshots in another place, and brings them there.
//
// A store of replicas is a directory on any file system, which says all about itself:
//
//	DIR/UUID/ID/manifest.json   what it is a replica of, and how far it is: inbound, then complete
//	DIR/UUID/ID/TARGET.img      the disk's content, raw, with holes
//	DIR/UUID/ID/TARGET.sums     32 bytes for each chunk of the disk: its SHA-256, or zeroes where all of it is zero
//
// Each replica stands by itself, so that any of them can go without the others. It begins as a clone of an earlier one, by
// shared extents where the file system has those and as a copy with its holes elsewhere, and gets what differs.
//
// What differs is found by the sums over there: a chunk is moved when its sum here is another. Which chunks have to be read
// for that, a storage may know (methods.Changes); of those only the extents that it names are moved. So one way serves for a
// full replica, whose base is all zero, for an increment by changed extents, and for a comparison; and nothing that storages
// on both sides have to have in common.
//
// A replica grows by pieces and syncs. With a sync what was put is durable, is read again from the disk and has the sum of
// what was read here; then its sums are written, and then the manifest says how far the disk is done. So sums never tell of
// more than there is, and who was cut goes on from the last sync. The manifest says complete last. Where the storage has
// checksums of its own, and so finds out whenever it is read, a sample of what was put whole is read again (Pending.Sample);
// Verify reads everything.
//
// Store is such a directory here. The package wire has the same Place on another host.
package replica
