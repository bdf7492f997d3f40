package scan

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"synoptic/results"
	"synoptic/scan/internal/engine"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// canaryPhase asks every host for two random ports of the dynamic range (RFC 6335 section 6). A host that says they
// are open says so of every port. It is retried and paced as the scan is.
func canaryPhase(p *plan.Plan) (engine.PhaseConfig, error) {
	ports, err := target.ParsePorts(chooseCanaries(p.Space))
	if err != nil {
		return engine.PhaseConfig{}, err
	}
	space, err := target.NewSpace(p.Space.Addrs(), ports, nil)
	if err != nil {
		return engine.PhaseConfig{}, err
	}
	phase, err := p.Phase(plan.PhaseConfig{Space: space})
	if err != nil {
		return engine.PhaseConfig{}, fmt.Errorf("canary ports: %w", err)
	}
	return engine.PhaseConfig{Name: PhaseCanaries, Plan: phase}, nil
}

// chooseCanaries picks dynamic ports that are not probed anyway.
func chooseCanaries(s *target.Space) string {
	const first, count = 49152, 16384
	var chosen []string
	probed := func(port uint16) bool {
		_, ok := s.Index(s.Addrs().At(0), port)
		return ok
	}
	for tries := 0; len(chosen) < plan.CanaryPorts; tries++ {
		port := uint16(first + rand.IntN(count))
		if probed(port) && tries < 100 { // all of them may be
			continue
		}
		chosen = append(chosen, fmt.Sprint(port))
	}
	return strings.Join(chosen, ",")
}

// openHosts remembers who has an open port.
type openHosts map[netip.Addr]bool

// sink is where the records of the canary phase go. The outputs, which have the opening record, are flushed as ever.
func (o openHosts) sink(outputs results.Sink) results.Sink {
	return results.SinkFuncs{OnFlush: outputs.Flush, OnEvents: outputs.Events, OnPorts: func(batch []results.Port) error {
		for i := range batch {
			o[batch[i].Addr] = true
		}
		return nil
	}}
}
