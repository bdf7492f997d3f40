package report

import (
	"cmp"
	"net/netip"
	"slices"
)

// square is a prefix of even length, which is a square on a Hilbert curve.
type square struct {
	Base uint32 `json:"base"`
	Bits int    `json:"bits"`
}

const (
	// maxSquares bounds the choice of maps.
	maxSquares = 24
	// smallest is the length of the smallest square: 256 addresses.
	smallest = 24
)

// block is a range of addresses, last included, that is to be on a map.
type block struct{ first, last uint32 }

// squares are the maps that show all of the address space in question with little besides: one for a network that is
// evenly filled, several for networks that lie far apart. Networks are /24s, ascending.
func squares(networks []uint32, covered []Covered) []square {
	var all []block
	for _, n := range networks {
		all = append(all, block{n << 8, n<<8 | 255})
	}
	for _, c := range covered {
		if c.Prefix.Addr().Is4() {
			first := number4(c.Prefix.Masked().Addr())
			all = append(all, block{first, first | uint32(1<<(32-c.Prefix.Bits())-1)})
		}
	}
	if len(all) == 0 {
		return []square{}
	}
	slices.SortFunc(all, func(a, b block) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last)) })
	parts := [][]block{all}
	for len(parts) < maxSquares {
		// The part whose division saves the most space is divided.
		best, saved, divided := -1, uint64(0), [][]block(nil)
		for i, p := range parts {
			pieces := quarters(p)
			whole, rest := enclose(p).size(), uint64(0)
			for _, q := range pieces {
				rest += enclose(q).size()
			}
			if len(pieces) > 1 && len(parts)+len(pieces)-1 <= maxSquares && rest <= whole/8 && whole-rest > saved {
				best, saved, divided = i, whole-rest, pieces
			}
		}
		if best < 0 {
			break
		}
		parts = slices.Replace(parts, best, best+1, divided...)
	}
	var out []square
	for _, p := range parts {
		out = append(out, enclose(p))
	}
	return out
}

func (s square) size() uint64 { return 1 << (32 - s.Bits) }

func mask(bits int) uint32 { return ^uint32(1<<(32-bits) - 1) }

// enclose is the smallest square around blocks that ascend.
func enclose(p []block) square {
	last := p[0].last
	for _, b := range p {
		last = max(last, b.last)
	}
	for bits := smallest; ; bits -= 2 {
		if base := p[0].first & mask(bits); base == last&mask(bits) {
			return square{base, bits}
		}
	}
}

// quarters are the blocks by the quarters of the square around them that they begin in.
func quarters(p []block) (pieces [][]block) {
	whole := enclose(p)
	if whole.Bits >= smallest {
		return nil
	}
	inner := mask(whole.Bits + 2)
	from := 0
	for i, b := range p {
		if i > from && b.first&inner != p[from].first&inner {
			pieces = append(pieces, p[from:i])
			from = i
		}
	}
	return append(pieces, p[from:])
}

// maxCovered bounds the prefixes of covered space that are drawn.
const maxCovered = 4096

// coveredMeta is a prefix on the map: how much of it was asked, 0 to 100, all of it only where it is 100.
type coveredMeta struct {
	Base  uint32 `json:"base"`
	Bits  int    `json:"bits"`
	Asked int    `json:"asked"`
}

// drawn are the prefixes as the map has them. Where there are too many, small ones are put together: what was not
// asked between them lowers their figure.
func drawn(covered []Covered) []coveredMeta {
	for bits := 32; ; bits -= 2 {
		all := []coveredMeta{} // not nil, which JSON has as null
		sums := map[netip.Prefix]*Covered{}
		size := map[netip.Prefix]uint64{}
		for _, c := range covered {
			if !c.Prefix.Addr().Is4() {
				continue
			}
			p := netip.PrefixFrom(c.Prefix.Addr(), min(bits, c.Prefix.Bits())).Masked()
			if sums[p] == nil {
				sums[p] = &Covered{Prefix: p}
			}
			sums[p].Asked += c.Asked
			sums[p].Of += c.Of
			size[p] += 1 << (32 - c.Prefix.Bits())
		}
		if len(sums) > maxCovered && bits > 8 {
			continue
		}
		for p, c := range sums {
			if c.Of == 0 {
				continue
			}
			share := float64(c.Asked) / float64(c.Of) * float64(size[p]) / float64(uint64(1)<<(32-p.Bits()))
			all = append(all, coveredMeta{number4(p.Addr()), p.Bits(), int(100 * min(share, 1))})
		}
		slices.SortFunc(all, func(a, b coveredMeta) int { return cmp.Compare(a.Base, b.Base) })
		return all
	}
}
