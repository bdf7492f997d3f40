// Package responder is the simulated internet: an XDP program at the far end of a test network's link
// that answers probes to every IPv4 address and port, millions a second, by a keyed hash. The same
// hash in Go, [Config.State], is the ground truth of a scan.
//
//	scanner's namespace              target's namespace
//	┌───────────────────┐           ┌─────────────────────────────┐
//	│ scanner ── Link ──┼── veth ───┼─ PeerLink ─▶ XDP: respond ──┼─┐ SYN-ACK, RST+ACK: XDP_TX
//	│           (pass)◀─┼───────────┼───────────────◀─────────────┼─┘
//	└───────────────────┘           └───────▼─ ARP, LocalNet ─────┘
//	                                      kernel
//
// veth delivers what XDP_TX sends only while the scanner's end has an XDP program too: a scanner that
// brings none of its own needs [AttachPass]. Without, no reply arrives; GRO there, which polls as well,
// is worse than nothing, since veth_xdp_flush (drivers/net/veth.c) then fills the ring and wakes nobody.
//
// Loading the programs needs CAP_BPF and CAP_NET_ADMIN in the first user namespace: root, in practice.
package responder

//go:generate go tool bpf2go -go-package responder -tags linux -cc clang-14 -strip llvm-strip-14 -target bpfel -output-stem simnet -type counters simnet simnet.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"testing"

	"synoptic/bench/lab/testnet"
)

// Config describes an internet. Shares are from 0 to 1. The zero value is silent: a sink, which counts
// and drops probes as early as possible.
type Config struct {
	// Seed selects one of 2^64 networks with the same shares.
	Seed uint64
	// Open and Closed are the shares of (address, port) pairs that answer with a SYN-ACK and with a
	// RST, together at most 1. The rest is silent.
	Open, Closed float64
	// Alive is the share of addresses that exist: the ports of all others are silent. 0 means 1.
	Alive float64
	// AnswerAll is the share of living addresses that answer with a SYN-ACK on every port.
	AnswerAll float64
	// LossIn and LossOut are the shares of probes and of replies that are lost, drawn at random for
	// every packet: a retry may get through.
	LossIn, LossOut float64
	// Duplicates is the share of replies that are sent twice, drawn for every reply. Needs Linux 6.6.
	Duplicates float64
	// ResetsPerHost limits the RSTs of every address, by a token bucket that fills at this rate per
	// second and holds as many. The buckets of the 2^18 addresses that used theirs last are kept.
	// 0: no limit.
	ResetsPerHost uint32
	// LocalNet is not simulated: its packets are left to the target's kernel, as ARP and IPv6 are. It
	// should hold the link's own network. The zero value excepts nothing.
	LocalNet netip.Prefix
	// BeaconPort is a source port whose probes are answered and not counted: a scanner that asks again what has answered
	// does so from there. 0: testnet.BeaconPort.
	BeaconPort uint16
}

// Counters tell what became of the packets that reached the program, since Attach. Of the probes,
//
//	SYNs = LostIn + Silent + RateLimited + SYNACKs + RSTs
//
// and SYNACKs + RSTs + Duplicates - LostOut replies were handed to the link, of which it dropped
// RepliesDropped.
type Counters struct {
	SYNs           uint64 // probes
	SYNACKs        uint64 // probes answered with a SYN-ACK, once or twice, the answer lost or not
	RSTs           uint64 // the same, with a RST
	Silent         uint64 // probes to silent ports
	LostIn         uint64 // probes lost on the way in
	LostOut        uint64 // replies lost on the way out
	Duplicates     uint64 // second copies of replies
	RateLimited    uint64 // RSTs that were not made, by Config.ResetsPerHost
	ResetsReceived uint64 // RSTs from the scanner
	Others         uint64 // anything else to the simulated addresses: dropped

	// What the link itself dropped since Attach because the other end was slower than the sender, or
	// had no XDP program at all (see AttachPass): neither is in the counts above.
	ProbesDropped, RepliesDropped uint64
}

// Validate tells what is wrong with a configuration.
func (c Config) Validate() error {
	for _, s := range []struct {
		name  string
		value float64
	}{
		{"open", c.Open}, {"closed", c.Closed}, {"alive", c.Alive}, {"answer-all", c.AnswerAll},
		{"loss in", c.LossIn}, {"loss out", c.LossOut}, {"duplicates", c.Duplicates},
	} {
		if !(s.value >= 0 && s.value <= 1) { // also NaN
			return fmt.Errorf("share %s is %v: want 0 to 1", s.name, s.value)
		}
	}
	// Shares such as 0.7 and 0.3 may add up to a little more than 1.
	if sum := c.Open + c.Closed; sum > 1+1e-9 {
		return fmt.Errorf("shares open and closed are %.6g together: want at most 1", sum)
	}
	if c.ResetsPerHost > math.MaxInt32/2 {
		return fmt.Errorf("%d resets per second and host: want at most %d", c.ResetsPerHost, math.MaxInt32/2)
	}
	if c.LocalNet.IsValid() && !c.LocalNet.Addr().Is4() {
		return fmt.Errorf("local network %v: want IPv4", c.LocalNet)
	}
	return nil
}

// PrivilegeError reports that the system does not let this process use XDP.
type PrivilegeError struct{ Err error }

func (e *PrivilegeError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *PrivilegeError) Unwrap() error { return e.Err }

// Hint says what helps.
func (e *PrivilegeError) Hint() string {
	return "run as root: a user namespace gives no right to load XDP programs"
}

// New attaches for one test and detaches with it. Where XDP is not permitted it skips the test, or
// fails it where testnet.RequireEnv has "network".
func New(t testing.TB, n *testnet.Network, c Config) *Responder {
	t.Helper()
	r, err := Attach(n, c)
	if err != nil {
		if p := (*PrivilegeError)(nil); errors.As(err, &p) && !testnet.Required("network") {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}
