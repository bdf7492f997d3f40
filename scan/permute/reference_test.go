package permute

// reference is π written plainly from the text of Params, with any number of
// rounds: what Permutation is compared with, and what shows how many rounds it
// takes to be uniform.
type reference struct {
	n, a, b uint64 // a low halves, b high halves
	keys    []uint64
}

func newReference(n, seed uint64, rounds int) *reference {
	r := &reference{n: n, a: 2, keys: make([]uint64, rounds)}
	for r.a*r.a < n {
		r.a *= 2
	}
	r.b = (n + r.a - 1) / r.a
	expandSeed(seed, r.keys)
	return r
}

// f is the round function reduced to [0, m), m ≤ 2^24. Scaling by a power of two
// and taking the top bits are the same thing.
func (r *reference) f(half, key, m uint64) uint64 {
	h := half*MulInput + key
	h ^= h >> 32
	h *= MulOutput
	return (h >> 24) * m >> 40
}

func (r *reference) Len() uint64 { return r.n }

func (r *reference) Index(x uint64) uint64 {
	for {
		low, high := x%r.a, x/r.a
		for i, key := range r.keys {
			if i%2 == 0 {
				high = (high + r.f(low, key, r.b)) % r.b
			} else {
				low = (low + r.f(high, key, r.a)) % r.a
			}
		}
		if x = high*r.a + low; x < r.n {
			return x
		}
	}
}

func (r *reference) Position(x uint64) uint64 {
	for {
		low, high := x%r.a, x/r.a
		for i := len(r.keys) - 1; i >= 0; i-- {
			if i%2 == 0 {
				high = (high + r.b - r.f(low, r.keys[i], r.b)) % r.b
			} else {
				low = (low + r.a - r.f(high, r.keys[i], r.a)) % r.a
			}
		}
		if x = high*r.a + low; x < r.n {
			return x
		}
	}
}
