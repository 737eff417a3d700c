//go:build rbd

package rbd

/*
#cgo LDFLAGS: -lrbd
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <rbd/librbd.h>

// begin begins with one extent after the other, and counts those that it could begin with.
static int begin(rbd_image_t image, bool writing, size_t count, const uint64_t *at, const uint64_t *length, char *data,
		 rbd_completion_t *done, size_t *begun)
{
	for (; *begun < count; ++*begun) {
		rbd_completion_t *now = &done[*begun];
		int err = rbd_aio_create_completion(NULL, NULL, now);
		if (err)
			return err;
		err = writing ? rbd_aio_write(image, at[*begun], length[*begun], data, *now)
			      : rbd_aio_read(image, at[*begun], length[*begun], data, *now);
		if (err) {
			rbd_aio_release(*now);
			return err;
		}
		data += length[*begun];
	}
	return 0;
}

// end waits for one, and says how it went. What is read short is an error, what is written says 0.
static int end(rbd_completion_t done, uint64_t wanted)
{
	rbd_aio_wait_for_complete(done);
	ssize_t got = rbd_aio_get_return_value(done);
	rbd_aio_release(done);
	if (got < 0)
		return got;
	return got < wanted ? -ENODATA : 0;
}

static int all(rbd_image_t image, bool writing, size_t count, const uint64_t *at, const uint64_t *length, char *data)
{
	size_t begun = 0;
	rbd_completion_t *done = calloc(count, sizeof *done);
	if (!done)
		return -ENOMEM;
	int err = begin(image, writing, count, at, length, data, done, &begun);
	for (size_t i = 0; i < begun; i++) {
		int how = end(done[i], writing ? 0 : length[i]);
		if (!err)
			err = how;
	}
	free(done);
	return err;
}
*/
import "C"

import (
	"fmt"
	"reflect"
	"syscall"
	"unsafe"

	"github.com/ceph/go-ceph/rbd"

	"github.com/domsnap/domsnap/methods"
)

// ReadExtents implements methods.Gathering. All of them are under way at once, in one call: each call that waits has the Go
// runtime find another thread, which takes as long as librbd does.
func (i *readImage) ReadExtents(extents []methods.Extent, data []byte) error {
	return i.all(false, extents, data)
}

// WriteExtents writes data to extents as ReadExtents reads it. What lies behind the end of the image librbd leaves out.
func (i *writeImage) WriteExtents(extents []methods.Extent, data []byte) error {
	return i.all(true, extents, data)
}

func (i *readImage) all(writing bool, extents []methods.Extent, data []byte) error {
	if n := methods.TotalLength(extents); n != int64(len(data)) {
		return fmt.Errorf("reach extents of %d bytes with %d of memory", n, len(data))
	}
	if len(data) == 0 {
		return nil
	}
	image, err := handle(i.Image)
	if err != nil {
		return err
	}
	at, length := make([]C.uint64_t, len(extents)), make([]C.uint64_t, len(extents))
	for n, e := range extents {
		at[n], length[n] = C.uint64_t(e.Offset), C.uint64_t(e.Length)
	}
	code := C.all(image, C.bool(writing), C.size_t(len(extents)), &at[0], &length[0], (*C.char)(unsafe.Pointer(&data[0])))
	if code != 0 {
		return typed(syscall.Errno(-code))
	}
	return nil
}

// handle is what librbd knows an image by. go-ceph, which has none of librbd's calls that do not wait, keeps it to itself.
func handle(image *rbd.Image) (C.rbd_image_t, error) {
	found := reflect.ValueOf(image).Elem().FieldByName("image").UnsafePointer()
	if found == nil {
		return nil, rbd.ErrImageNotOpen
	}
	return C.rbd_image_t(found), nil
}
