// Package permute puts the probes of a scan into a keyed random order, and back. Call New for a
// Permutation: its Index says which probe comes at a position, and Position where a probe comes. Shard
// gives the positions of a scan's i-th part.
//
// A scan of n probes has the indices [0, n), where the index says which address
// and port a probe aims at. The probe sent p-th, at position p, has the index
// π(p); a reply gives the index i, and π⁻¹(i) is the position. π needs no memory
// per probe, so the position can be the identity of a probe everywhere else.
//
// π is the generalised Feistel network of Black and Rogaway ("Ciphers with
// Arbitrary Finite Domains", CT-RSA 2002) with cycle walking. It spreads load; it
// is no cipher, and nothing secret may rest on it.
package permute

import (
	"fmt"
	"math/bits"
)

const (
	// Version is the rule by which length and seed select an order. Whoever goes on in an order that somebody
	// else began compares it first; it changes when any order changes.
	Version = 1

	// MaxLen is the largest number of probes in one permutation: 2^48, all of
	// IPv4 on all ports.
	MaxLen = 1 << 48

	// Rounds is the number of Feistel rounds. Chosen with the chi-squared tests
	// of uniform_test.go: 12 tests at 10 lengths with 8 seeds, where failure is
	// p < 10⁻⁶ on either side. Of these 960 there failed
	//
	//	rounds      1     2     3     4     5     6
	//	failures  732   627    44    18     0     0
	//
	// (go test -run RoundsTable -rounds-table -v). With 3 and 4 rounds it is the
	// probes one column of the square apart that stay correlated, with one
	// exception at lengths below 2^20. The sixth round is margin: with 16 times
	// the sample, at one seed, 5 and 6 pass as well; and 6 are where Patarin
	// ("Security of Random Feistel Schemes with 5 or More Rounds", CRYPTO 2004)
	// proves a balanced network of ideal round functions random from both sides
	// for nearly as many known values as a half can take.
	Rounds = 6

	// Multipliers of the round function: odd, about half their bits set. They
	// are the fractional part of the golden ratio and the second multiplier of
	// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
	MulInput  = 0x9e3779b97f4a7c15
	MulOutput = 0x94d049bb133111eb
)

// Params holds π as plain words, for an implementation elsewhere (the BPF
// programs). A value x < 2^LowBits·High is two halves: low = x mod 2^LowBits and
// high = x >> LowBits < High. The round function of round r is
//
//	h := half*MulInput + Keys[r]; h ^= h >> 32; h *= MulOutput
//
// modulo 2^64. Even rounds add (h>>24)*High>>40 to high, modulo High, from half =
// low; odd rounds add h>>(64-LowBits) to low, modulo 2^LowBits, from half = high.
// While the result is not below Len, all rounds are applied again: at most
// 2^LowBits times in the worst case, and for all but tiny Len more than once
// only for one position in some High.
type Params struct {
	Len     uint64         // n, 1 … MaxLen
	LowBits uint64         // 1 … 24
	High    uint64         // ceil(n / 2^LowBits), 1 … 2^24
	Keys    [Rounds]uint64 // from the seed
}

// Permutation is a keyed bijection of [0, n): send order (position) to probe
// (index). It never changes, so any number of goroutines may use one.
type Permutation struct {
	params Params
	mask   uint64 // 2^LowBits - 1
}

// New returns the permutation of [0, n) that the seed selects, 1 ≤ n ≤ MaxLen.
// The same n and seed mean the same order wherever Version is the same.
func New(n, seed uint64) (*Permutation, error) {
	if n < 1 || n > MaxLen {
		return nil, fmt.Errorf("permute: length %d is outside 1 to %d", n, uint64(MaxLen))
	}
	p := &Permutation{params: Params{Len: n, LowBits: lowBits(n)}}
	p.mask = 1<<p.params.LowBits - 1
	p.params.High = (n + p.mask) >> p.params.LowBits
	expandSeed(seed, p.params.Keys[:])
	return p, nil
}

// lowBits gives the low half the bits that make it a power of two of at least
// √n. So no step needs a division, the high half never exceeds 2^24, which lets a
// product with a 40-bit hash fit 64 bits, and fewer than 2^lowBits values lie
// beyond n.
func lowBits(n uint64) uint64 {
	return max(1, uint64(bits.Len64(n-1)+1)/2)
}

// expandSeed fills keys with the output of SplitMix64.
func expandSeed(seed uint64, keys []uint64) {
	for i := range keys {
		seed += MulInput
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		keys[i] = z ^ z>>31
	}
}

// Params returns the words that define the permutation.
func (p *Permutation) Params() Params { return p.params }

// Len returns n.
func (p *Permutation) Len() uint64 { return p.params.Len }

// Index returns the index of the probe that is sent at position. It panics if
// position ≥ Len: beyond it a probe would be sent twice or the walk never end.
func (p *Permutation) Index(position uint64) uint64 {
	if position >= p.params.Len {
		outOfRange()
	}
	shift := p.params.LowBits & 63
	down := (64 - shift) & 63
	k := &p.params.Keys
	x := position
	for {
		low, high := x&p.mask, x>>shift
		high = p.addHigh(high, low, k[0])
		low = (low + hash(high, k[1])>>down) & p.mask
		high = p.addHigh(high, low, k[2])
		low = (low + hash(high, k[3])>>down) & p.mask
		high = p.addHigh(high, low, k[4])
		low = (low + hash(high, k[5])>>down) & p.mask
		x = high<<shift | low
		if x < p.params.Len {
			return x
		}
	}
}

// Position returns the position at which the probe with this index is sent, so
// that Position(Index(x)) = x. It panics if index ≥ Len.
func (p *Permutation) Position(index uint64) uint64 {
	if index >= p.params.Len {
		outOfRange()
	}
	shift := p.params.LowBits & 63
	down := (64 - shift) & 63
	k := &p.params.Keys
	x := index
	for {
		low, high := x&p.mask, x>>shift
		low = (low - hash(high, k[5])>>down) & p.mask
		high = p.subHigh(high, low, k[4])
		low = (low - hash(high, k[3])>>down) & p.mask
		high = p.subHigh(high, low, k[2])
		low = (low - hash(high, k[1])>>down) & p.mask
		high = p.subHigh(high, low, k[0])
		x = high<<shift | low
		if x < p.params.Len {
			return x
		}
	}
}

// The first round changes the high half, because consecutive positions differ
// in the low one: a round on the low half would shift them all alike.

// addHigh returns high + F(low) modulo High, without a branch that the CPU
// would mispredict half the time.
func (p *Permutation) addHigh(high, low, key uint64) uint64 {
	b := p.params.High
	t := high + hash(low, key)>>24*b>>40 - b
	return t + b&uint64(int64(t)>>63)
}

func (p *Permutation) subHigh(high, low, key uint64) uint64 {
	b := p.params.High
	t := high - hash(low, key)>>24*b>>40
	return t + b&uint64(int64(t)>>63)
}

// hash is the round function; its upper bits are the good ones. One multiply
// alone would be affine in half, and then so would be all rounds together.
func hash(half, key uint64) uint64 {
	h := half*MulInput + key
	return (h ^ h>>32) * MulOutput
}

// outOfRange is apart so that the callers stay small.
func outOfRange() {
	panic("permute: position or index beyond the length of the permutation")
}
