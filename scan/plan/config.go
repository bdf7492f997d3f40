package plan

import (
	"net"
	"net/netip"
	"time"

	"synoptic/ratelimit"
	"synoptic/results"
	"synoptic/scan/probe"
	"synoptic/scan/target"
)

// The backends: how probes are sent and answers received.
const (
	BackendAuto     = "auto"     // the best that host and targets allow
	BackendAFPacket = "afpacket" // raw frames by AF_PACKET, needs CAP_NET_RAW
	BackendXDP      = "xdp"      // AF_XDP out, replies verified in the kernel; Linux 5.18, CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN
	BackendEBPF     = "ebpf"     // probes made in the kernel as well; likewise, and a driver that takes redirected frames
	BackendConnect  = "connect"  // connect(2), needs nothing
)

// Defaults that a zero Config means.
const (
	// DefaultRate in probes per second is what an automatic rate begins with and keeps while nothing answers. It is safe on a
	// shared network: about 7 Mbit/s.
	DefaultRate = 10_000
	// DefaultLoopbackRate in probes per second holds where there is no network to hurt.
	DefaultLoopbackRate = 500_000
	// DefaultAttempts finds what one lost packet, or two, would hide.
	DefaultAttempts = 3
	// MaxAttempts is the most.
	MaxAttempts = 10
	// DefaultRetryGap is long enough to outlast most bursts of loss.
	DefaultRetryGap = time.Second
	// DefaultBatch probes go to the kernel in one call. More would save nothing that can be measured
	// (rawsock's BenchmarkSend), while the send time of each is known only as well as its call's.
	DefaultBatch = 16
	// MaxBatch is the largest.
	MaxBatch = 64
	// MaxLanes is the largest number of sender lanes.
	MaxLanes = 32
	// DefaultWait caps the cooldown after the last probe.
	DefaultWait = 8 * time.Second
	// DefaultPatience outlasts a switch that starts, and most people who have pulled the wrong cable.
	DefaultPatience = time.Minute
	// MaxBeacons is how many can be named.
	MaxBeacons = 1024
	// DefaultMaxMemory in bytes bounds the result map: 2^29 positions.
	DefaultMaxMemory = 256 << 20
)

// Config is what the user asked for. The zero value of every field but Targets means its default.
type Config struct {
	Targets *target.Targets
	Args    []string // the command line, for scan_start
	Version string   // of the program, for scan_start
	Host    Host     // whose network is scanned from; nil: ThisHost

	Seed            uint64 // of the permutation, 0 … 2^53−1; random unless HasSeed
	HasSeed         bool
	ShardI, ShardOf int // this scan is shard I of Of, counted from 1; 0, 0: all of it

	Rate      float64 // probes per second; 0 without Bandwidth: Auto, or DefaultLoopbackRate where every probe stays on this host
	Bandwidth float64 // bits per second on the wire; the lower of both limits holds
	// Auto has the rate found out while the scan runs, between MinRate and MaxRate, probes per second; 0: AutoMin, and the
	// link's line rate, or all positions in a second where that is less. Rate says then what it begins with; 0: DefaultRate.
	Auto             bool
	MinRate, MaxRate float64
	// Live says that the rate may be changed while the scan runs: lowered to ratelimit.MinRate, and raised to LiveFactor
	// times the rate that it begins with, as far as neither Bandwidth nor the choice of a backend says less.
	Live bool
	// Limits, in packets per second, to any one address and to any one prefix of a length: first tries, retries and beacons.
	RatePerHost   float64 // 0: none
	RatePerPrefix []ratelimit.PrefixRate
	// NoBackoff has prefixes that begin to refuse probes sent as many as all others.
	NoBackoff bool

	Backend   string
	Interface string // name; overrides the routing table's choice
	Source    netip.Addr
	// SpoofSource allows a Source that no interface of this host has. ARP requests for it are answered where it is on-link;
	// elsewhere its answers must find their way back by other means.
	SpoofSource bool
	// Strict refuses targets without a route, which are left out otherwise while there are others.
	Strict     bool
	SourcePort uint16 // of the first attempt; outside the ephemeral range by default
	GatewayMAC net.HardwareAddr
	Profile    probe.Profile

	Attempts     int           // probes that a silent position gets at most, 1 to MaxAttempts; 0: DefaultAttempts
	RetryGap     time.Duration // between two attempts; shorter on a network known to be fast
	TargetRecall float64       // share of the responsive positions to find; decides the attempts instead

	Beacons  []netip.AddrPort // targets with a port that answers for sure, asked again while the scan runs
	Patience time.Duration    // how long to wait where answers stay out, before what was asked meanwhile is given up

	Canaries  bool // ask every host for two random ports first: who opens those opens anything
	Verify    bool // complete the handshake with open ports, and listen for a banner
	ShowHosts bool // sum up every host at the end
	Frames    bool // records have the frame that they rest on: Port.Frame

	Lanes     int           // sender lanes, 1 to MaxLanes; 0: chosen by rate and processors
	Batch     int           // probes per system call, 1 to MaxBatch; 0: DefaultBatch
	Wait      time.Duration // cap of the cooldown
	MaxMemory int64         // bytes of the result map at most
	Show      results.State // states that become records; open by default

	beside bool // of a part of a scan that otherwise goes by raw packets: a target without a route is no reason to refuse
}
