package main

import (
	"fmt"
	"testing"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
)

// backend is one of those that send raw packets: what holds for one of them holds for all.
type backend struct {
	name string
	// least is the rate below which another one takes its place, most what a listener of the tests accepts; 0: no matter.
	least, most int
	// kernel: BPF programs receive.
	kernel bool
}

var (
	afpacket = backend{name: "afpacket"}
	xdp      = backend{name: "xdp", kernel: true}
	ebpf     = backend{name: "ebpf", least: 100_000, kernel: true}

	// connect sends none, and is here for what holds for it all the same.
	connect = backend{name: "connect", most: 5000}
)

// eachBackend runs a test over the backends. Of what xdp and ebpf have in common, everything behind the probe's
// leaving, one of them is enough where a test is long.
func eachBackend(t *testing.T, test func(t *testing.T, b backend), backends ...backend) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) { test(t, b) })
	}
}

// eachBackendInGate is eachBackendBeside in the gate, and otherwise for the first of them only: what happens to the network, and to
// what is sent, is the same for all. Every one is the first of some test.
func eachBackendInGate(t *testing.T, test func(t *testing.T, b backend), backends ...backend) {
	if !need.Gate(t) {
		backends = backends[:1]
	}
	eachBackendBeside(t, test, backends...)
}

// eachBackendBeside is eachBackend for a test whose parts begin with beside: the next test does not wait for them.
func eachBackendBeside(t *testing.T, test func(t *testing.T, b backend), backends ...backend) {
	t.Parallel()
	eachBackend(t, test, backends...)
}

// network is a network whose far end takes what the backend sends, in namespaces of the test's own. Where BPF
// is not permitted it skips the test.
func (b backend) network(t testing.TB, c testnet.Config) *testnet.Network {
	t.Helper()
	n := network(t, c)
	b.prepare(t, n)
	return n
}

// beside is network for a test that runs beside others.
func (b backend) beside(t *testing.T, c testnet.Config) *testnet.Network {
	t.Helper()
	t.Parallel()
	return b.network(t, c)
}

func (b backend) prepare(t testing.TB, n *testnet.Network) {
	t.Helper()
	if b.kernel {
		n.NAPI(t)
	}
}

// scan is the command line that scans by the backend, at the rate or the nearest that the backend is for.
func (b backend) scan(rate int, more ...string) []string {
	if b.most > 0 {
		rate = min(rate, b.most)
	}
	return append([]string{"scan", "--backend", b.name, "--rate", fmt.Sprint(max(rate, b.least))}, more...)
}

// lanes is a number of sender lanes that the backend can have on a test network: the asked, or 1 where the
// one queue of the link's end is all that there is.
func (b backend) lanes(asked int) string {
	if b.kernel {
		return "1"
	}
	return fmt.Sprint(asked)
}

// seeds is how many seeds a test over seeds takes: of the backends with programs fewer, one where nobody asks
// for more than a developer's two.
func (b backend) seeds(t testing.TB) int {
	if !b.kernel {
		return need.Seeds(t)
	}
	return min(max(need.Seeds(t)-1, 1), 3)
}

// used checks that a scan went by the backend, and not by another that took its place.
func (b backend) used(t testing.TB, s stream) {
	t.Helper()
	if s.start.Backend != b.name || s.end.Backend != b.name {
		t.Errorf("backend %s at the start and %s at the end, want %s", s.start.Backend, s.end.Backend, b.name)
	}
}
