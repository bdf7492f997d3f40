package inventory

import (
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawKeys draws ascending keys, of few ports or of many.
func drawKeys(t *rapid.T, least int) (all []key) {
	ports := rapid.SampledFrom([]uint16{3, 300, 65535}).Draw(t, "ports")
	n := rapid.SampledFrom([]int{least, 1, 20, 700}).Draw(t, "keys")
	host, wide := uint64(rapid.IntRange(0, 1).Draw(t, "v6"))<<46, rapid.Uint64Range(1, 1<<32).Draw(t, "gap")
	for i := range n {
		x := uint64(i+1) * 0x9e3779b97f4a7c15
		host += x % wide
		all = append(all, key(host&(1<<47-1))<<16|key(uint16(x>>40)%ports))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// What is packed is unpacked, and so are keys as older versions packed them.
func TestCodec(t *testing.T) {
	p, err := newPacker()
	check(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		keys := drawKeys(rt, 0)
		got, err := p.unpackKeys(p.packKeys(keys))
		if err != nil || !slices.Equal(got, keys) {
			rt.Fatalf("%d keys, got %d, error %v", len(keys), len(got), err)
		}
		old, last := binary.AppendUvarint(nil, uint64(len(keys))), key(0)
		for _, k := range keys {
			old, last = binary.AppendUvarint(old, uint64(k.host()>>16-last)), k.host()>>16
		}
		for _, k := range keys {
			old = binary.LittleEndian.AppendUint16(old, k.port())
		}
		if got, err = p.unpackKeys(p.seal(old)); err != nil || !slices.Equal(got, keys) {
			rt.Fatalf("of an older version: %d keys, got %d, error %v", len(keys), len(got), err)
		}
		var toggles []toggle
		for i, k := range keys {
			c := toggle{key: k, sweep: 9, gap: int64(i%5 - 2)}
			if c.opened = i%3 > 0; c.opened {
				c.first, c.again = true, i%2 == 0
			} else {
				c.how = how(i % 4)
			}
			toggles = append(toggles, c)
		}
		all, err := p.unpackDelta(p.packDelta(toggles), 9)
		if err != nil || !slices.Equal(all, toggles) {
			rt.Fatalf("%d toggles, got %d, error %v", len(toggles), len(all), err)
		}
	})
}

// Whatever a blob holds that has the right sum: it is read or it is an error.
func FuzzColumns(f *testing.F) {
	p, err := newPacker()
	check(f, err)
	keys := []key{1<<16 | 80, 1<<16 | 443, 70000<<16 | 80}
	for _, blob := range [][]byte{p.packKeys(keys), p.packKeys(nil), p.packDelta([]toggle{{key: keys[0], opened: true}, {key: keys[1]}})} {
		plain, err := p.open(blob)
		check(f, err)
		f.Add(slices.Clone(plain))
	}
	f.Add([]byte{0x80, 0, 2, 0x80, 0x80, 0x80, 0x80})
	f.Add([]byte{2, 1, 1, 80, 0, 80, 0})
	f.Fuzz(func(t *testing.T, plain []byte) {
		if all, err := p.unpackKeys(p.seal(plain)); err == nil && len(all) > len(plain) {
			t.Errorf("%d keys out of %d bytes", len(all), len(plain))
		}
		_, _ = p.unpackDelta(p.seal(plain), 1)
	})
}
