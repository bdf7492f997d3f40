package sim

import (
	"net/netip"
	"time"

	"synoptic/rawsock/route"
)

// Config describes a network. The zero value of every field but Routes means that nothing is amiss.
type Config struct {
	Seed    uint64  // of every random choice
	Routes  []Route // how targets are reached, by the longest prefix
	Targets Targets
	Out     Leg // from the scanner to the targets
	Back    Leg // and back

	// Stray packets a second come in that pass a receiver's filter and answer nothing.
	Stray float64
	// Retire is how long a packet may lie in the ring before it is seen, as in a block that is not full.
	Retire time.Duration
	// Ring is how many packets a receiver holds; more are dropped and counted. 0: no limit.
	Ring int
	// Batch is how many frames a transmitter has; 0: as many as it is asked for.
	Batch int
	// ARP is how long a neighbour takes to tell its link address.
	ARP time.Duration
	// NewsLate is how late the scan reads what the host tells of its links.
	NewsLate time.Duration
	// Neighbours is how many entries the last router's table of neighbours holds; 0: no limit. An address that nobody has takes
	// one up for as long as the router asks for it.
	Neighbours int
	// Ban is what an intrusion prevention system before each target does.
	Ban Ban

	// Guards are firewalls before prefixes.
	Guards []Guard

	Faults []Fault
}

// Ban is when a target drops everything for a while: when it was sent more than so many SYNs at once, or a second over a longer
// time. It has an end, whatever is sent meanwhile.
type Ban struct {
	Burst, Rate float64 // zero: never
	For         time.Duration
}

// Route is one way out of the scanner's host.
type Route struct {
	Prefix  netip.Prefix
	Link    route.Link
	Src     netip.Addr
	Gateway netip.Addr // invalid: the targets are on the link itself
	Back    string     // the name of the link that answers come in by; "": the same
}

// Targets says by shares who is there and what answers; a keyed hash says which.
type Targets struct {
	Seed                   uint64  // of who is there and what answers, the same in several networks; 0: Config.Seed
	Dead                   float64 // addresses without a host
	Unreachable            float64 // of these, those that a router answers for: host unreachable
	Open, Closed, Filtered float64 // ports of a host; the rest are silent. Filtered ones are answered by ICMP
	Both                   float64 // of the open ports: a firewall's RST comes as well, before or after
	Repeat                 float64 // of the open ports: the SYN-ACK comes again a second later
}

// Leg is what a direction does to a packet. Where order matters it is this: police, queue, lose, delay.
type Leg struct {
	Delay     time.Duration // of every packet
	PerPrefix time.Duration // up to so much more, the same for all of a /24
	Jitter    time.Duration // up to so much more, each packet its own: it reorders
	Loss      float64
	// Bursts of loss: spells of BurstBad on average in which nothing gets through, BurstGood apart.
	BurstGood, BurstBad time.Duration
	Reorder             float64 // share of packets held back
	ReorderBy           time.Duration
	Duplicate           float64 // share of packets that come twice
	Corrupt             float64 // share of answers whose proof is damaged

	// Capacity in packets a second of a bottleneck, before which a queue holds Queue worth of packets;
	// more are dropped. 0: no bottleneck.
	Capacity float64
	Queue    time.Duration
	// Police drops what exceeds so many packets a second beyond a burst of PoliceBurst; 0: it does not.
	Police      float64
	PoliceBurst float64
}

// unsteady tells whether what it loses changes with time.
func (l *Leg) unsteady() bool { return l.BurstBad > 0 || l.Capacity > 0 || l.Police > 0 }

// ordered tells that the leg needs its packets in the order of time.
func (l *Leg) ordered() bool { return l.Capacity > 0 || l.Police > 0 }
