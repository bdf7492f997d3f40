// Package backoff finds prefixes that begin to refuse what they are sent, as a firewall does that limits rates or shuts somebody out,
// and says how far to slow each. Lanes count in Counts what they send and what comes back; call Watch.Look every Tick, and do what the
// Changes say. It knows neither sockets nor the clock.
//
// # What is evidence
//
// Probes go in random order, so of the answers that a prefix gives to first tries, each kind keeps its share, whatever the rate, the
// loss and the limits on the way are. A firewall that refuses everything from the start is an ordinary one, and so are hosts
// that answer each closed port by a RST. Evidence is a change: the answers that there were end, and refusals take their place
// (see pairs). How often they come is no evidence: routers limit their ICMP errors, some to one a second.
package backoff

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"synoptic/scan/gate"
)

// Kind is what comes back.
type Kind uint8

// The kinds.
const (
	Open       Kind = iota // SYN-ACK to a first try
	Reset                  // RST to a first try
	Prohibited             // ICMP error to a first try: communication administratively prohibited
	Extra                  // RST to what had been answered by a RST
	Kept                   // SYN-ACK to a beacon that is open,
	Turned                 // and RST to one;
	TurnedNew              // such a beacon had answered by a SYN-ACK until then
	numKinds
)

const (
	// size is how many prefixes are watched: a power of two. Of more, those that answer first: to each of so many goes too little to
	// matter.
	size = 1 << 13
	// reach is how many places a prefix may have.
	reach = 8
)

// Counts count by prefix (gate.Neighbourhood). Any number of goroutines may count.
type Counts struct {
	entries [size]entry
	evenly  atomic.Uint64
	slowed  atomic.Int32 // prefixes that are slowed for ICMP errors
}

type entry struct {
	key     atomic.Uint64 // 0: free
	sent    atomic.Uint32
	kinds   [numKinds]atomic.Uint32
	refuses atomic.Bool // it is slowed for ICMP errors
}

// v4 marks keys of IPv4 prefixes: 0000::/24, reserved (RFC 4291 section 4), has no targets.
const v4 = 1 << 32

func keyOf(addr netip.Addr) uint64 {
	if addr.Is4() {
		b := addr.As4()
		return v4 | uint64(binary.BigEndian.Uint32(b[:])>>8)
	}
	b := addr.As16()
	return binary.BigEndian.Uint64(b[:8])
}

// prefixOf is the inverse of keyOf.
func prefixOf(key uint64) netip.Prefix {
	if key>>32 == v4>>32 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(key)<<8)
		return gate.Neighbourhood(netip.AddrFrom4(b))
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], key)
	return gate.Neighbourhood(netip.AddrFrom16(b))
}

// find gives the entry of an address's prefix; nil where it has none, and no place is free.
func (c *Counts) find(addr netip.Addr) *entry {
	key := keyOf(addr)
	at := key * 0x9e3779b97f4a7c15 >> (64 - 13)
	for i := range uint64(reach) {
		e := &c.entries[(at+i)%size]
		switch k := e.key.Load(); {
		case k == key:
			return e
		case k == 0 && (e.key.CompareAndSwap(0, key) || e.key.Load() == key):
			return e
		}
	}
	return nil
}

// Sent counts a first try.
func (c *Counts) Sent(addr netip.Addr) {
	if e := c.find(addr); e != nil {
		e.sent.Add(1)
	}
}

// SentEvenly counts n first tries to targets drawn at random from all.
func (c *Counts) SentEvenly(n uint64) { c.evenly.Add(n) }

// Came counts what has come back.
func (c *Counts) Came(addr netip.Addr, k Kind) {
	if e := c.find(addr); e != nil {
		e.kinds[k].Add(1)
	}
}

// Refuses tells whether the prefix of an address is slowed because it refuses by ICMP errors: then one proves little about a port.
func (c *Counts) Refuses(addr netip.Addr) bool {
	if c.slowed.Load() == 0 {
		return false
	}
	e := c.find(addr)
	return e != nil && e.refuses.Load()
}
