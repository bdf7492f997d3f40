package sim

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"sort"
	"time"
)

// chance makes every random choice of a network from its seed. A choice is a function of what it is about,
// not of how many were made before, so that two goroutines that change places change nothing else.
type chance struct{ key uint64 }

// stream keeps the choices about one thing apart.
type stream uint64

const (
	ofHost stream = iota + 1
	ofPort
	ofCode
	ofRouter
	ofShape
	ofMAC
	ofPrefix
	ofRefusal
	ofRoom
	ofStall
	ofLane
	ofBoth
	ofRepeat
	ofStray
	ofGate // for tests
	ofLeg  // and the next: one for each direction, several choices each
)

// The choices of a leg, added to its first stream.
const (
	legLoss stream = iota
	legJitter
	legReorder
	legDuplicate
	legCorrupt
	legBurst
	legStreams
)

// mix is splitmix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (c chance) bits(s stream, about, more uint64) uint64 {
	return mix(mix(mix(c.key^uint64(s)<<56)^about) ^ more)
}

// unit is a choice in [0, 1).
func (c chance) unit(s stream, about, more uint64) float64 {
	return float64(c.bits(s, about, more)>>11) / (1 << 53)
}

// hit comes true with probability p.
func (c chance) hit(p float64, s stream, about, more uint64) bool {
	return p > 0 && c.unit(s, about, more) < p
}

// upTo is a choice in [0, limit).
func (c chance) upTo(limit time.Duration, s stream, about, more uint64) time.Duration {
	if limit <= 0 {
		return 0
	}
	return time.Duration(c.unit(s, about, more) * float64(limit))
}

// about is an address as a choice takes it.
func about(a netip.Addr) uint64 {
	b := a.As16()
	return mix(binary.BigEndian.Uint64(b[:8])) ^ binary.BigEndian.Uint64(b[8:])
}

// prefixOf is the /24 (IPv6: /48) of an address, likewise.
func prefixOf(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return uint64(binary.BigEndian.Uint32(b[:]) >> 8)
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]) >> 16
}

// bursts is a two-state process in time (Gilbert, "Capacity of a Burst-Noise Channel", 1960): good and bad
// spells of exponential lengths.
type bursts struct {
	rng       *rand.Rand
	good, bad time.Duration   // mean lengths
	edges     []time.Duration // where bad spells begin (even) and end (odd), ascending
}

func newBursts(c chance, s stream, good, bad time.Duration) *bursts {
	if good <= 0 || bad <= 0 {
		return nil
	}
	return &bursts{rng: rand.New(rand.NewPCG(c.key, uint64(s))), good: good, bad: bad}
}

// in tells whether a moment lies in a bad spell.
func (b *bursts) in(at time.Duration) bool {
	if b == nil {
		return false
	}
	for len(b.edges) == 0 || b.edges[len(b.edges)-1] <= at {
		var last time.Duration
		mean := b.good
		if n := len(b.edges); n > 0 {
			last = b.edges[n-1]
			if n%2 == 1 {
				mean = b.bad
			}
		}
		b.edges = append(b.edges, last+1+time.Duration(math.Min(b.rng.ExpFloat64()*float64(mean), float64(math.MaxInt64/4))))
	}
	return sort.Search(len(b.edges), func(i int) bool { return b.edges[i] > at })%2 == 1
}
