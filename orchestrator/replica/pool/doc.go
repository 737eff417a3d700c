// Package pool keeps replicas as snapshots of rbd images, in a pool of a Ceph cluster or a namespace of one, which says all
// about itself. A disk of a domain has two images there:
//
//	domsnap.UUID.TARGET        the disk's content, to be mapped, cloned or exported as any image
//	domsnap.UUID.TARGET.sums   32 bytes for each chunk of the disk, as in a directory of replicas
//
// A replica of the snapshot ID is a snapshot of each, replica-ID. Ceph keeps these apart, so that any of them can go without
// the others; when none is left the images go too. The present of the images, their head, is where the next replica comes to
// be: it begins as a replica that is there, gets what differs, and the snapshots are taken in the end. The metadata of the first image
// (rbd image-meta) say the rest:
//
//	domsnap.head               of every disk's image: the id of the replica that the head is, complete or on its way; with
//	                           "dirty " before it the head is nothing to go on with
//	domsnap.replica.ID         of the image of the replica's first disk: its manifest, sealed, as in a directory
//
// A replica is complete when its manifest says so, which is written last. Until then its snapshots, if there are any, mean
// nothing. Only one replica of a disk is on its way: another one takes the head over, and the first one is forgotten.
//
// A sample of what is written is read again before a disk is done; the last of it while the monitors number the snapshots. Until
// that has come to its end the manifest says which chunks are not checked, and who goes on with the replica reads all of them.
//
// Whose head is the base of the next replica has nothing to do but to write. But the head is open to all: somebody may have
// started a guest from it. So the object map is asked whether it is the snapshot still; a head that is not, or that is
// another replica's, is rolled back. A rollback by somebody else shows there by what the snapshot had changed itself; so a
// replica to which nothing was written has a block of every such disk written again.
//
// Who changes an image has librbd's lock of it and does not lend it. A writer that died is shut out by the cluster before
// the next one begins.
package pool
