package scan

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

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
	// DefaultRate in probes per second is safe on a shared network: about 7 Mbit/s.
	DefaultRate = 10_000
	// DefaultLoopbackRate in probes per second holds where there is no network to hurt.
	DefaultLoopbackRate = 500_000
	// DefaultAttempts finds what one lost packet, or two, would hide.
	DefaultAttempts = 3
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
	// DefaultMaxMemory in bytes bounds the result map: 2^29 positions.
	DefaultMaxMemory = 256 << 20
)

// Config is what the user asked for. The zero value of every field but Targets means its default.
type Config struct {
	Targets *target.Targets
	Args    []string // the command line, for scan_start
	Version string   // of the program, for scan_start

	Seed            uint64 // of the permutation, 0 … 2^53−1; random unless HasSeed
	HasSeed         bool
	ShardI, ShardOf int // this scan is shard I of Of, counted from 1; 0, 0: all of it

	Rate      float64 // probes per second
	Bandwidth float64 // bits per second on the wire; the lower of both limits holds

	Backend    string
	Interface  string // name; overrides the routing table's choice
	Source     netip.Addr
	SourcePort uint16 // of the first attempt; outside the ephemeral range by default
	GatewayMAC net.HardwareAddr
	Profile    probe.Profile

	Attempts     int           // probes that a silent position gets at most, 1 to 10; 0: DefaultAttempts
	RetryGap     time.Duration // between two attempts; shorter on a network known to be fast
	TargetRecall float64       // share of the responsive positions to find; decides the attempts instead

	Canaries  bool // ask every host for two random ports first: who opens those opens anything
	Verify    bool // complete the handshake with open ports, and listen for a banner
	ShowHosts bool // sum up every host at the end
	Frames    bool // records have the frame that they rest on: Port.Frame

	Lanes     int           // sender lanes, 1 to MaxLanes; 0: chosen by rate and processors
	Batch     int           // probes per system call, 1 to MaxBatch; 0: DefaultBatch
	Wait      time.Duration // cap of the cooldown
	MaxMemory int64         // bytes of the result map at most
	Show      results.State // states that become records; open by default
}

// Error is a configuration that cannot be scanned, and how to mend it.
type Error struct {
	Err  error
	hint string
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says how to mend it.
func (e *Error) Hint() string { return e.hint }

func refuse(hint, format string, args ...any) error {
	return &Error{fmt.Errorf(format, args...), hint}
}

// maxSeed keeps the seed exact in JSON, whose readers hold numbers as IEEE 754 doubles (RFC 8259
// section 6).
const maxSeed = 1<<53 - 1

// withDefaults checks the fields that stand alone and fills in the defaults that need no look at
// the host.
func (c Config) withDefaults() (Config, error) {
	if c.Targets == nil {
		return c, errors.New("no targets")
	}
	if c.Seed > maxSeed {
		return c, refuse("choose a seed from 0 to 9007199254740991", "seed %d does not fit a JSON number exactly", c.Seed)
	}
	if c.Rate < 0 || c.Bandwidth < 0 {
		return c, refuse("give a rate above 0, for instance 10k", "negative rate")
	}
	if c.Wait < 0 {
		return c, refuse("give a duration such as 8s", "negative --wait")
	}
	if c.Batch == 0 {
		c.Batch = DefaultBatch
	}
	if c.Batch < 1 || c.Batch > MaxBatch {
		return c, refuse(fmt.Sprintf("give 1 to %d", MaxBatch), "a batch of %d probes", c.Batch)
	}
	if c.Lanes < 0 || c.Lanes > MaxLanes {
		return c, refuse(fmt.Sprintf("give 1 to %d", MaxLanes), "%d lanes", c.Lanes)
	}
	if c.Attempts < 0 || c.Attempts > maxTries {
		return c, refuse(fmt.Sprintf("give 0 to %d retries", maxTries-1), "%d retries", c.Attempts-1)
	}
	if !(c.TargetRecall >= 0 && c.TargetRecall < 1) { // NaN neither
		return c, refuse("give a share such as 0.999", "a target recall of %v is not a share below 1", c.TargetRecall)
	}
	if c.RetryGap < 0 {
		return c, refuse("give a duration such as 1s", "negative retry gap")
	}
	if c.Attempts == 0 {
		c.Attempts = DefaultAttempts
	}
	if c.TargetRecall > 0 {
		c.Attempts = maxTries
	}
	if c.RetryGap == 0 {
		c.RetryGap = DefaultRetryGap
	}
	if c.Wait == 0 {
		c.Wait = DefaultWait
	}
	if c.MaxMemory == 0 {
		c.MaxMemory = DefaultMaxMemory
	}
	if c.Show == 0 {
		c.Show = results.Open
	}
	if c.Backend == "" {
		c.Backend = BackendAuto
	}
	if c.ShardI != 0 && c.ShardOf == 0 {
		return c, refuse("give both numbers: part i of n", "shard %d of no number of shards", c.ShardI)
	}
	if c.ShardOf == 0 {
		c.ShardI, c.ShardOf = 1, 1
	}
	return c, nil
}
