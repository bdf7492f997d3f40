package scan

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"synoptic/results"
	"synoptic/scan/target"
)

// canaryPorts is how many ports that nobody asked for are probed on every host.
const canaryPorts = 2

// probeCanaries asks every host for two random ports of the dynamic range (RFC 6335 section 6) before
// the scan. A host that says they are open says so of every port. Being a scan of its own, it is
// retried, verified and paced as the scan is.
func probeCanaries(ctx context.Context, p *Plan) (liars map[netip.Addr]bool, sent uint64, err error) {
	ports, err := target.ParsePorts(chooseCanaries(p))
	if err != nil {
		return nil, 0, err
	}
	space, err := target.NewSpace(p.Space.Addrs(), ports, nil)
	if err != nil {
		return nil, 0, err
	}
	c := p.Config
	c.Targets = &target.Targets{Space: space}
	c.Canaries, c.Verify, c.ShowHosts, c.Frames, c.Show = false, false, false, false, results.Open
	c.ShardI, c.ShardOf, c.HasSeed = 1, 1, false
	plan, err := NewPlan(c)
	if err != nil {
		return nil, 0, err
	}
	s, err := New(plan)
	if err != nil {
		return nil, 0, err
	}
	found := openHosts{}
	end, err := s.Run(ctx, found)
	if end != nil {
		sent = end.Sent
	}
	return found, sent, err
}

// chooseCanaries picks dynamic ports that are not probed anyway.
func chooseCanaries(p *Plan) string {
	const first, count = 49152, 16384
	var spec string
	probed := func(port uint16) bool {
		_, ok := p.Space.Index(p.Space.Addrs().At(0), port)
		return ok
	}
	for chosen, tries := 0, 0; chosen < canaryPorts; tries++ {
		port := uint16(first + rand.IntN(count))
		if probed(port) && tries < 100 { // all of them may be
			continue
		}
		spec += fmt.Sprintf("%d,", port)
		chosen++
	}
	return spec[:len(spec)-1]
}

// openHosts is a sink that remembers who has an open port.
type openHosts map[netip.Addr]bool

// Ports notes the hosts.
func (o openHosts) Ports(batch []results.Port) error {
	for i := range batch {
		o[batch[i].Addr] = true
	}
	return nil
}

// Start has nothing to note.
func (o openHosts) Start(*results.ScanStart) error { return nil }

// Hosts has nothing to note.
func (o openHosts) Hosts([]results.Host) error { return nil }

// Flush has nothing to write.
func (o openHosts) Flush() error { return nil }

// End has nothing to note.
func (o openHosts) End(*results.ScanEnd) error { return nil }

// Close has nothing to close.
func (o openHosts) Close() error { return nil }
