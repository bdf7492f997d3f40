package responder

import (
	"fmt"
	"math"
	"net/netip"
)

// State is what a port does with a probe that reaches it.
type State uint8

// The states, from the least to the most that can be known.
const (
	Silent State = iota
	Closed       // RST
	Open         // SYN-ACK
)

func (s State) String() string {
	switch s {
	case Silent:
		return "silent"
	case Closed:
		return "closed"
	case Open:
		return "open"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// all is one more than the largest value that is compared with a threshold: the share 1.
const all = 1 << 32

// threshold is the number of 32-bit values, of 2^32, that make up a share.
func threshold(share float64) uint64 { return min(uint64(share*all+0.5), all) }

// Truth is a Config as the program sees it, integers, for those who ask often.
type Truth struct {
	keyA, keyB                           uint64
	open, answered, alive, answersOnEach uint64 // thresholds
	local                                netip.Prefix
}

// Truth prepares many questions to one configuration.
func (c Config) Truth() Truth {
	alive := c.Alive
	if alive == 0 {
		alive = 1
	}
	a := scramble(c.Seed + golden)
	return Truth{
		keyA: a, keyB: scramble(a + golden),
		open: threshold(c.Open), answered: threshold(c.Open + c.Closed),
		alive: threshold(alive), answersOnEach: threshold(c.AnswerAll),
		local: c.LocalNet,
	}
}

// State is the ground truth: exactly what the program does with a probe to a port when neither the
// probe nor the answer is lost and no limit is reached. What is not simulated, IPv6 and LocalNet, is
// Silent.
func (c Config) State(addr netip.Addr, port uint16) State {
	t := c.Truth()
	return t.State(addr, port)
}

// State is Config.State.
func (t *Truth) State(addr netip.Addr, port uint16) State {
	addr = addr.Unmap()
	if !addr.Is4() || t.local.Contains(addr) {
		return Silent
	}
	b := addr.As4()
	return t.state(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3]), port)
}

func (t *Truth) state(addr uint32, port uint16) State {
	if t.alive < all || t.answersOnEach > 0 {
		host := t.hash(uint64(addr) | 1<<63) // a port that no packet can have
		if host>>32 >= t.alive {
			return Silent
		}
		if host&math.MaxUint32 < t.answersOnEach {
			return Open
		}
	}
	switch h := t.hash(uint64(addr)<<16|uint64(port)) >> 32; {
	case h < t.open:
		return Open
	case h < t.answered:
		return Closed
	}
	return Silent
}

// The multipliers of splitmix64 and of its finalizer: Steele, Lea and Flood, "Fast Splittable
// Pseudorandom Number Generators", OOPSLA 2014, with the constants of Stafford's variant 13.
const (
	golden = 0x9e3779b97f4a7c15
	first  = 0xbf58476d1ce4e5b9
	second = 0x94d049bb133111eb
)

// hash must stay what hash in simnet.bpf.c is. A key goes in before each of the two rounds, so that
// two seeds do not give the same network with its addresses exchanged.
func (t *Truth) hash(x uint64) uint64 {
	x ^= t.keyA
	x ^= x >> 30
	x *= first
	x += t.keyB
	x ^= x >> 27
	x *= second
	return x ^ x>>31
}

// scramble is the finalizer alone; it makes keys of a seed.
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * first
	x = (x ^ x>>27) * second
	return x ^ x>>31
}
