package inventory

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// A blob holds columns of unsigned varints (encoding/binary), compressed by zstd (RFC 8878), and behind them the CRC-32C of the
// compressed bytes, little-endian. Keys are ascending and stored by their differences, the ports apart, as these have few values.

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
}

func newPacker() (*packer, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlob))
	return &packer{zip: zip, unzip: unzip}, err
}

// seal makes a blob of varints.
func (p *packer) seal(plain []byte) []byte {
	b := p.zip.EncodeAll(plain, nil)
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

// appendKeys appends how many keys there are, the differences of their hosts, and their ports. They are ascending.
func appendKeys(b []byte, n int, at func(i int) key) []byte {
	b = binary.AppendUvarint(b, uint64(n))
	last := key(0)
	for i := range n {
		host := at(i).host() >> 16
		b = binary.AppendUvarint(b, uint64(host-last))
		last = host
	}
	for i := range n {
		b = binary.LittleEndian.AppendUint16(b, at(i).port())
	}
	return b
}

// columns reads what was packed. After a failure all that it gives is zero.
type columns struct {
	b   []byte
	err error
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

// keys reads what appendKeys wrote, into memory that is used again.
func (c *columns) keys(into []key) []key {
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.err = errBlob
		return into[:0]
	}
	into = slices.Grow(into[:0], int(n))[:n]
	host := key(0)
	for i := range into {
		host += key(c.uvarint())
		into[i] = host << 16
	}
	if c.err != nil || uint64(len(c.b)) < 2*n {
		c.err = errBlob
		return into[:0]
	}
	for i := range into {
		into[i] |= key(binary.LittleEndian.Uint16(c.b[2*i:]))
	}
	c.b = c.b[2*n:]
	return into
}

// toggle is what a sweep changed of an endpoint: it began to be open, or ended.
type toggle struct {
	key    key
	opened bool
	first  bool // of the sweeps that were merged, the first change of the endpoint opened it
	again  bool // opened: it had been open before
	how    how  // ended
	sweep  int64
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
	var b []byte
	for _, opened := range []bool{true, false} {
		var some []toggle
		for i := range all {
			if all[i].opened == opened {
				some = append(some, all[i])
			}
		}
		b = appendKeys(b, len(some), func(i int) key { return some[i].key })
		for i := range some {
			b = binary.AppendUvarint(b, some[i].meta())
		}
	}
	return p.seal(b)
}

// unpackDelta is the inverse of packDelta.
func (p *packer) unpackDelta(blob []byte, sweep int64) ([]toggle, error) {
	plain, err := p.open(blob)
	if err != nil {
		return nil, err
	}
	c := columns{b: plain}
	var lists [2][]toggle
	for i := range lists {
		keys := c.keys(nil)
		lists[i] = make([]toggle, 0, len(keys))
		for _, k := range keys {
			lists[i] = append(lists[i], toggle{key: k, opened: i == 0, first: i == 0, sweep: sweep})
		}
		for j := range lists[i] {
			lists[i][j].setMeta(c.uvarint())
		}
	}
	if c.err != nil || len(c.b) > 0 {
		return nil, errBlob
	}
	return mergeToggles(lists[0], lists[1]), nil
}

// mergeToggles joins what an earlier and a later run of sweeps changed: of an endpoint that is in both, the later change holds, and the
// earlier says what was before.
func mergeToggles(earlier, later []toggle) []toggle {
	all := make([]toggle, 0, len(earlier)+len(later))
	for len(earlier) > 0 && len(later) > 0 {
		switch a, b := &earlier[0], &later[0]; {
		case a.key < b.key:
			all, earlier = append(all, *a), earlier[1:]
		case a.key > b.key:
			all, later = append(all, *b), later[1:]
		default:
			all = append(all, *b)
			all[len(all)-1].first = a.first
			earlier, later = earlier[1:], later[1:]
		}
	}
	return append(append(all, earlier...), later...)
}

// packKeys makes the blob of a set of keys, which are ascending.
func (p *packer) packKeys(keys []key) []byte {
	return p.seal(appendKeys(make([]byte, 0, 4*len(keys)), len(keys), func(i int) key { return keys[i] }))
}

// unpackKeys is the inverse of packKeys.
func (p *packer) unpackKeys(blob []byte) ([]key, error) {
	plain, err := p.open(blob)
	if err != nil {
		return nil, err
	}
	c := columns{b: plain}
	keys := c.keys(nil)
	if c.err != nil || len(c.b) > 0 {
		return nil, errBlob
	}
	return keys, nil
}
