package monitor

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encoder writes numbers, each in eight bytes, big-endian, and sums them up.
type encoder struct {
	w   *bufio.Writer
	sum uint32
	err error
	buf [entryLen]byte
}

func (e *encoder) bytes(b []byte) {
	e.sum = crc32.Update(e.sum, castagnoli, b)
	if e.err == nil {
		_, e.err = e.w.Write(b)
	}
}

func (e *encoder) u64(values ...uint64) {
	for _, v := range values {
		binary.BigEndian.PutUint64(e.buf[:], v)
		e.bytes(e.buf[:8])
	}
}

func (e *encoder) i64(values ...int64) {
	for _, v := range values {
		e.u64(uint64(v))
	}
}

func (e *encoder) f64(values ...float64) {
	for _, v := range values {
		e.u64(math.Float64bits(v))
	}
}

func (e *encoder) text(s string) {
	e.u64(uint64(len(s)))
	e.bytes([]byte(s))
}

// entryLen is what an endpoint takes in a snapshot.
const entryLen = 12

func (e *encoder) entry(x *entry) {
	binary.BigEndian.PutUint64(e.buf[:], x.meta)
	binary.BigEndian.PutUint32(e.buf[8:], x.asked)
	e.bytes(e.buf[:])
}

// end writes the sum.
func (e *encoder) end() error {
	binary.BigEndian.PutUint32(e.buf[:4], e.sum)
	if e.err == nil {
		_, e.err = e.w.Write(e.buf[:4])
	}
	if e.err != nil {
		return e.err
	}
	return e.w.Flush()
}

// errDamaged is a snapshot that is not as it was written.
var errDamaged = errors.New("the snapshot is damaged")

// decoder reads what an encoder wrote. After an error all numbers are zero.
type decoder struct {
	r   *bufio.Reader
	sum uint32
	err error
	buf [entryLen]byte
}

func (d *decoder) fill(b []byte) {
	if d.err == nil {
		if _, err := io.ReadFull(d.r, b); err != nil {
			d.err = err
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				d.err = fmt.Errorf("%w: it ends too early", errDamaged)
			}
		}
	}
	if d.err != nil {
		clear(b)
		return
	}
	d.sum = crc32.Update(d.sum, castagnoli, b)
}

func (d *decoder) u64() uint64 {
	d.fill(d.buf[:8])
	return binary.BigEndian.Uint64(d.buf[:])
}

func (d *decoder) entry() entry {
	d.fill(d.buf[:])
	return entry{meta: binary.BigEndian.Uint64(d.buf[:]), asked: binary.BigEndian.Uint32(d.buf[8:])}
}

func (d *decoder) i64() int64   { return int64(d.u64()) }
func (d *decoder) f64() float64 { return math.Float64frombits(d.u64()) }

// count is a number of things, at most so many.
func (d *decoder) count(most uint64) int {
	n := d.u64()
	if n > most && d.err == nil {
		d.err = fmt.Errorf("%w: a count of %d", errDamaged, n)
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	b := make([]byte, d.count(256))
	d.fill(b)
	return string(b)
}

// end compares the sum.
func (d *decoder) end() error {
	sum := d.sum
	d.fill(d.buf[:4])
	switch {
	case d.err != nil:
		return d.err
	case binary.BigEndian.Uint32(d.buf[:4]) != sum:
		return fmt.Errorf("%w: its checksum is wrong", errDamaged)
	}
	if _, err := d.r.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows it", errDamaged)
	}
	return nil
}
