package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
)

// field is a scene's network, its far end and its truth.
type field struct {
	*testnet.Network
	scene
	wire     *testnet.Counter     // a kernel plays the targets
	internet *responder.Responder // or the simulated internet
}

// subnet is the link's own network, of the range set aside for benchmarks (RFC 2544): outside of every
// scene's targets.
var subnet = netip.MustParsePrefix("198.18.0.0/24")

// queue is what real interfaces have by default (net/core/dev.c: DEFAULT_TX_QUEUE_LEN).
const queue = 1000

func newField(s scene) (f *field, err error) {
	n, err := testnet.Open(testnet.Config{Gateway: true, Prefix: s.targets, Subnet: subnet, Queue: queue})
	if err != nil {
		return nil, err
	}
	f = &field{Network: n, scene: s}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if s.internet != nil {
		c := *s.internet
		c.LocalNet = subnet
		f.internet, err = responder.Attach(n, c)
		return f, err
	}
	for _, port := range s.open {
		if _, err := n.Serve(fmt.Sprintf("0.0.0.0:%d", port)); err != nil {
			return f, err
		}
	}
	f.wire, err = n.CountSYN(testnet.Match{})
	return f, err
}

// Close destroys the network.
func (f *field) Close() error {
	var err error
	if f.internet != nil {
		err = f.internet.Close()
	}
	return errors.Join(err, f.Network.Close())
}

// probes is how many have come to the far end.
func (f *field) probes() (uint64, error) {
	if f.internet == nil {
		return f.wire.Value()
	}
	c, err := f.internet.Counters()
	return c.SYNs, err
}

// isOpen is the truth.
func (f *field) isOpen(e netip.AddrPort) bool {
	if !f.targets.Contains(e.Addr()) {
		return false
	}
	if f.scene.internet != nil {
		return f.scene.internet.State(e.Addr(), e.Port()) == responder.Open
	}
	for _, port := range f.open {
		if port == e.Port() {
			return true
		}
	}
	return false
}

// judge compares what a tool reported as open with the truth.
func (f *field) judge(reported map[netip.AddrPort]bool) (found, invented uint64) {
	for e := range reported {
		if f.isOpen(e) {
			found++
		} else {
			invented++
		}
	}
	return found, invented
}

// openIn counts what is open on a part of the targets.
func (f *field) openIn(part netip.Prefix) (n uint64) {
	addresses := uint64(1) << (32 - part.Bits())
	switch {
	case f.scene.internet == nil:
		return addresses * uint64(len(f.open))
	case f.scene.internet.Open == 0:
		return 0
	}
	// Scenes with anything open have one port, and 2^24 addresses at most.
	for a := part.Addr(); part.Contains(a); a = a.Next() {
		if f.isOpen(netip.AddrPortFrom(a, 80)) {
			n++
		}
	}
	return n
}

// makeReady puts the XDP programs in place without which veth does not carry frames that come from XDP:
// the receiving end must have one. Real interfaces have no such rule. Synoptic's backends xdp and ebpf
// bring their own on the scanner's end; ebpf needs one on the far end, where a kernel answers.
func (f *field) makeReady(c contender) (undo func() error, err error) {
	var held io.Closer
	switch {
	case f.internet != nil && !c.bringsXDP():
		held, err = responder.AttachPass(f.Network)
	case f.internet == nil && c.row.Backend == "ebpf":
		err = f.Do(func() (err error) {
			held, err = responder.AttachPass(&testnet.Network{Link: f.PeerLink})
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("prepare the link: %w", err)
	}
	if held == nil {
		return func() error { return nil }, nil
	}
	return held.Close, nil
}
