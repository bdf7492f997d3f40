package inventory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// A blob holds columns of unsigned varints (encoding/binary), compressed by zstd (RFC 8878), a frame for each column, and behind them the CRC-32C
// of the compressed bytes, little-endian. Keys are ascending and stored by their differences, the ports apart, as these have few values.
//
// In blobs that begin with marker, the differences are in planes, first the first bytes of all varints, then the second ones, and so on, and the
// ports are places in a table: each column has a distribution of its own, which makes them a third smaller. Older blobs have varints one behind the other, and ports
// in clear.

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errBlob    = errors.New("a blob of the inventory is damaged")
)

// maxBlob bounds what a blob unpacks to, so that a damaged one does not fill the memory: 2^27 keys have room in it.
const maxBlob = 1 << 30

// packer makes and reads blobs. It is for one goroutine at a time.
type packer struct {
	zip   *zstd.Encoder
	unzip *zstd.Decoder
	buf   []byte
	keys  []key       // of unpackDelta, as are the toggles: memory that is used again
	lists [2][]toggle // opened, ended
}

func newPacker() (*packer, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(false), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return nil, err
	}
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlob))
	return &packer{zip: zip, unzip: unzip}, err
}

// seal makes a blob of columns.
func (p *packer) seal(columns ...[]byte) []byte {
	var b []byte
	for _, c := range columns {
		b = p.zip.EncodeAll(c, b)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// open is the inverse of seal. What it returns holds until the next call.
func (p *packer) open(blob []byte) ([]byte, error) {
	n := len(blob) - 4
	if n < 0 || crc32.Checksum(blob[:n], castagnoli) != binary.LittleEndian.Uint32(blob[n:]) {
		return nil, errBlob
	}
	var err error
	if p.buf, err = p.unzip.DecodeAll(blob[:n], p.buf[:0]); err != nil {
		return nil, errBlob
	}
	return p.buf, nil
}

// marker is what blobs in planes begin with. It is no varint that AppendUvarint would have written.
var marker = []byte{0x80, 0}

// keyColumns are how many keys there are and the differences of their hosts, and their ports. They are ascending.
func keyColumns(n int, at func(i int) key) [][]byte {
	first, last := binary.AppendUvarint(nil, uint64(n)), key(0)
	rest := make([]uint64, 0, n)
	for i := range n {
		host := at(i).host() >> 16
		rest = append(rest, uint64(host-last))
		last = host
	}
	all := [][]byte{first}
	for more := n > 0; more; more = len(rest) > 0 {
		plane, left := make([]byte, len(rest)), rest[:0]
		for i, x := range rest {
			if plane[i] = byte(x); x >= 0x80 {
				plane[i] |= 0x80
				left = append(left, x>>7)
			}
		}
		all, rest = append(all, plane), left
	}
	return append(all, portColumns(n, at)...)
}

// portColumns are how many ports there are, these, and of each key which of them it has; with none, or more than 256, 0 and the ports of the keys.
func portColumns(n int, at func(i int) key) [][]byte {
	index, table, places := map[uint16]int{}, []byte(nil), make([]byte, n)
	for i := range n {
		port := at(i).port()
		place, known := index[port]
		if !known {
			if place = len(index); place == 256 {
				break
			}
			index[port], table = place, binary.LittleEndian.AppendUint16(table, port)
		}
		places[i] = byte(place)
		if i == n-1 {
			return [][]byte{append(binary.AppendUvarint(nil, uint64(len(index))), table...), places}
		}
	}
	plain := []byte{0}
	for i := range n {
		plain = binary.LittleEndian.AppendUint16(plain, at(i).port())
	}
	return [][]byte{plain}
}

// columns reads what was packed. After a failure all that it gives is zero.
type columns struct {
	b      []byte
	planes bool
	err    error
}

func columnsOf(plain []byte) columns {
	b, planes := bytes.CutPrefix(plain, marker)
	return columns{b: b, planes: planes}
}

func (c *columns) uvarint() uint64 {
	x, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.b, c.err = nil, errBlob
		return 0
	}
	c.b = c.b[n:]
	return x
}

// next takes so many bytes.
func (c *columns) next(n uint64) []byte {
	if uint64(len(c.b)) < n {
		c.b, c.err = nil, errBlob
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

// keys reads keys into memory that is used again.
func (c *columns) keys(into []key) []key {
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.err = errBlob
		return into[:0]
	}
	into = slices.Grow(into[:0], int(n))[:n]
	if c.planes {
		c.differences(into)
	} else {
		for i := range into {
			into[i] = key(c.uvarint())
		}
	}
	host := key(0)
	for i := range into {
		host += into[i]
		into[i] = host << 16
	}
	table := uint64(0)
	if c.planes {
		table = c.uvarint()
	}
	if table > 0 {
		c.places(into, c.next(2*min(table, 256)))
	} else if b := c.next(2 * n); c.err == nil {
		for i := range into {
			into[i] |= key(binary.LittleEndian.Uint16(b[2*i:]))
		}
	}
	if c.err != nil {
		return into[:0]
	}
	return into
}

// differences reads the planes of varints.
func (c *columns) differences(into []key) {
	clear(into)
	var left []int32 // places whose varint goes on
	plane := c.next(uint64(len(into)))
	for i, b := range plane {
		if into[i] = key(b & 0x7f); b >= 0x80 {
			left = append(left, int32(i))
		}
	}
	for shift := 7; len(left) > 0 && c.err == nil; shift += 7 {
		if shift > 56 {
			c.err = errBlob
			return
		}
		more := left[:0]
		for i, b := range c.next(uint64(len(left))) {
			at := left[i]
			if into[at] |= key(b&0x7f) << shift; b >= 0x80 {
				more = append(more, at)
			}
		}
		left = more
	}
}

// places reads which port of a table each key has.
func (c *columns) places(into []key, table []byte) {
	for i, place := range c.next(uint64(len(into))) {
		if 2*int(place) >= len(table) {
			c.err = errBlob
			return
		}
		into[i] |= key(binary.LittleEndian.Uint16(table[2*int(place):]))
	}
}

// toggle is what a sweep changed of an endpoint: it began to be open, or ended.
type toggle struct {
	key    key
	opened bool
	first  bool  // of the sweeps that were merged, the first change of the endpoint opened it
	again  bool  // opened: it had been open before
	how    how   // ended
	sweep  int32 // its row: 24 bytes in all, of which diffs move millions
	gap    int64 // opened: sweep less the last one before that asked and did not see it, 0: none asked; ended: less the last one that saw it
}

// The meta of a toggle is one varint: of an opened one the gap in zig-zag form and bit 0 for again, of an ended one the same and
// two bits for how.
func (t *toggle) meta() uint64 {
	gap := uint64(t.gap<<1) ^ uint64(t.gap>>63)
	if !t.opened {
		return gap<<2 | uint64(t.how)
	}
	if t.again {
		return gap<<1 | 1
	}
	return gap << 1
}

func (t *toggle) setMeta(x uint64) {
	zigzag := x >> 1
	if !t.opened {
		t.how, zigzag = how(x&3), x>>2
	} else {
		t.again = x&1 != 0
	}
	t.gap = int64(zigzag>>1) ^ -int64(zigzag&1)
}

// packDelta makes the blob of a sweep's toggles, which are ascending by key, one for each.
func (p *packer) packDelta(all []toggle) []byte {
	columns := [][]byte{marker}
	for _, opened := range []bool{true, false} {
		var some []toggle
		for i := range all {
			if all[i].opened == opened {
				some = append(some, all[i])
			}
		}
		var metas []byte
		for i := range some {
			metas = binary.AppendUvarint(metas, some[i].meta())
		}
		columns = append(append(columns, keyColumns(len(some), func(i int) key { return some[i].key })...), metas)
	}
	return p.seal(columns...)
}

// unpackDelta is the inverse of packDelta.
func (p *packer) unpackDelta(blob []byte, sweep int64) ([]toggle, error) {
	plain, err := p.open(blob)
	if err != nil {
		return nil, err
	}
	c := columnsOf(plain)
	for i := range p.lists {
		p.keys = c.keys(p.keys)
		list := slices.Grow(p.lists[i][:0], len(p.keys))
		for _, k := range p.keys {
			list = append(list, toggle{key: k, opened: i == 0, first: i == 0, sweep: int32(sweep)})
		}
		for j := range list {
			list[j].setMeta(c.uvarint())
		}
		p.lists[i] = list
	}
	if c.err != nil || len(c.b) > 0 {
		return nil, errBlob
	}
	return mergeToggles(nil, p.lists[0], p.lists[1]), nil
}

// mergeToggles joins what an earlier and a later run of sweeps changed: of an endpoint that is in both, the later change holds, and the
// earlier says what was before. What it returns lies in the memory of into, if that has room.
func mergeToggles(into, earlier, later []toggle) []toggle {
	into = slices.Grow(into[:0], len(earlier)+len(later))[:len(earlier)+len(later)]
	n, i, j := 0, 0, 0
	for ; i < len(earlier) && j < len(later); n++ {
		a, b := &earlier[i], &later[j]
		if a.key < b.key {
			into[n] = *a
			i++
			continue
		}
		into[n] = *b
		if j++; a.key == b.key {
			into[n].first = a.first
			i++
		}
	}
	n += copy(into[n:], earlier[i:])
	n += copy(into[n:], later[j:])
	return into[:n]
}

// packKeys makes the blob of a set of keys, which are ascending.
func (p *packer) packKeys(keys []key) []byte {
	return p.seal(append([][]byte{marker}, keyColumns(len(keys), func(i int) key { return keys[i] })...)...)
}

// unpackKeys is the inverse of packKeys.
func (p *packer) unpackKeys(blob []byte) ([]key, error) {
	plain, err := p.open(blob)
	if err != nil {
		return nil, err
	}
	c := columnsOf(plain)
	keys := c.keys(nil)
	if c.err != nil || len(c.b) > 0 {
		return nil, errBlob
	}
	return keys, nil
}
