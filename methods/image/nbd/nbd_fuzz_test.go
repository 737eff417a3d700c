package nbd

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"

	"github.com/domsnap/domsnap/integration/bounds"
)

// deaf is a server that has said everything beforehand.
type deaf struct {
	net.Conn
	says *bytes.Reader
}

func (d deaf) Read(p []byte) (int, error)  { return d.says.Read(p) }
func (d deaf) Write(p []byte) (int, error) { return len(p), nil }
func (d deaf) Close() error                { return nil }

// FuzzServer reads from a server that says anything: an answer, or an error, and never more than was asked for.
func FuzzServer(f *testing.F) {
	var good bytes.Buffer
	for _, part := range []any{
		uint64(serverMagic), uint64(optionMagic), uint16(flagFixedNewstyle | flagNoZeroes), uint64(1 << 20), uint16(0),
		uint32(replyMagic), uint32(0), uint64(1), make([]byte, 512),
	} {
		if err := binary.Write(&good, binary.BigEndian, part); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(good.Bytes(), int64(0))
	f.Add(good.Bytes()[:40], int64(1<<20))
	f.Add(append(bytes.Clone(good.Bytes()), good.Bytes()[28:44]...), int64(1<<20-512))
	endless := bytes.Clone(good.Bytes())
	copy(endless[18:], bytes.Repeat([]byte{0xff}, 8))
	f.Add(endless, int64(0))
	f.Add([]byte("NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53"), int64(-1))
	f.Fuzz(func(t *testing.T, says []byte, offset int64) {
		bounds.Within(t, func() {
			c, err := Open(deaf{says: bytes.NewReader(says)})
			if err != nil {
				return
			}
			n, err := c.ReadAt(make([]byte, 512), offset)
			if n < 0 || n > 512 || n < 512 && err == nil {
				t.Errorf("%d bytes, %v", n, err)
			}
			// The second answer is to another request.
			n, err = c.WriteAt(make([]byte, 512), offset)
			if n < 0 || n > 512 || n < 512 && err == nil {
				t.Errorf("%d bytes written, %v", n, err)
			}
			_ = c.Sync()
		})
	})
}
