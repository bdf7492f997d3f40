package xdp

import (
	"net/netip"
	"time"
)

// Config is everything that the programs need to know of a scan. It does not change while they are
// loaded.
type Config struct {
	Interface int        // index
	Source    netip.Addr // our address, IPv4
	// PortMin and PortMax are the source ports, one to an attempt.
	PortMin, PortMax uint16
	Key              [2]uint64 // of the cookie
	Permutation      Permutation
	Space            Space

	Window uint64 // positions of the result map, a power of two of at least 64
	Guard  uint64 // of the result map, in positions
	Emits  uint8  // states whose replies become records, in the result map's bits

	Times Times
	Loss  Loss
	// FrameLen is the length of a probe in bytes, Ethernet header included.
	FrameLen int
}

// Permutation is the order of the probes, in the words of permute.Params.
type Permutation struct {
	Len, LowBits, High uint64
	Keys               [6]uint64
}

// Space is the index space of the probes: Product positions of addresses × ports, then groups of
// addresses that have one port each.
type Space struct {
	Product uint64
	Magic   uint64 // ⌈2^64 / len(Ports)⌉, 0 for one port
	Ports   []uint16
	Sets    []Set // the product's addresses first, then the groups' in ascending order of port and base
}

// Set is a set of IPv4 addresses. Addresses are numbers in host byte order.
type Set struct {
	Port   uint16 // of a group
	Base   uint64 // index of the set's first probe
	Len    uint64 // addresses
	Runs   []Run  // ascending; behind the last a sentinel whose base is Len
	Width  uint32 // last address - first
	ByBase Guide  // by index within the set
	ByAddr Guide  // by address, counted from the first
}

// Run is a range of addresses: the first, and its index in the set.
type Run struct{ First, Base uint32 }

// Guide cuts the search for a run down to the few that share a bucket of 2^Shift keys with the key:
// they are Start[b] to Start[b+1].
type Guide struct {
	Start []uint32
	Shift uint8
}

// Times are the tables of send times, one to an attempt.
type Times struct {
	Attempts int
	Entries  uint64 // of each table, a power of two of at least 2
	Shift    uint   // log2 of the positions that share an entry
}

// Loss are the counters of first answers, by chunks of positions.
type Loss struct {
	Begin    uint64 // first position
	ChunkLen uint64 // positions, a power of two
	Chunks   int    // that are kept apart
}

// PassesAhead is how many passes may wait for the generator or be worked on: bpf/base.h's PASSES.
const PassesAhead = 64

// Pass is a walk over the positions [Begin, End) that the generator makes.
type Pass struct {
	Begin, End uint64
	First      bool  // every position; otherwise those without an answer
	Sample     bool  // of these, only those that are a multiple of 2^Stride
	Sampled    bool  // such positions have had one probe more than the others
	Stride     uint8 // log2
	Probes     uint8 // that the others have had
}

// Tally is what the receiver has counted since it was loaded.
type Tally struct {
	Replies    uint64 // genuine
	Duplicates uint64 // of these: known already
	Outranked  uint64 // of these: a better answer was known
	Late       uint64 // of these: their position had left the window
	Invalid    uint64 // packets to our ports that answer no probe
	RingFull   uint64 // replies that were lost because user space did not keep up
	Overruns   uint64 // as window.Map counts them
	Resets     uint64 // RSTs sent in answer to SYN-ACKs

	// Open, Closed and Filtered count positions by their best state. Filtered is what user space has
	// marked, less what turned out better: never above 0.
	Open, Closed, Filtered int64
	Repeated               uint64 // positions first answered on a later attempt
}

// Progress is how far the generator is, in all since it was loaded.
type Progress struct {
	Finished      uint64 // passes
	Spent         uint64 // of the probes granted
	Sent          uint64 // probes that the driver accepted
	Retransmitted uint64 // of these, not the first of their position
	Sampled       uint64 // of these, in sample passes
	Refused       uint64 // times that the driver or the redirect had no room for a probe, which was sent again
	Flying        uint64 // probes on their way to the driver, or to be sent again
	Starved       uint64 // runs without a probe to send
	Excluded      uint64 // positions that were silent and are marked as unknown, for their address is excluded
}

// Kind tells the records of the receiver apart.
type Kind uint8

// The kinds of record.
const (
	News   Kind = iota // a reply that was marked, to report
	Sample             // a reply that was marked; only its round trip is of interest
	Raw                // a packet that the program left to user space, not marked
)

// Record is one packet from the receiver.
type Record struct {
	Kind     Kind
	Time     time.Duration // of CLOCK_MONOTONIC
	Position uint64        // for News and Sample
	Packet   []byte        // from the IP header on; valid until the next call
}

// Harmless tells whether attaching an XDP program leaves the traffic of a driver's interfaces alone.
// Hardware drivers stop and re-initialise their queues for it, some with the link going down.
func Harmless(driver string) bool { return driver == "veth" }
