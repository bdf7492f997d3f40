package scan

import (
	"errors"
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
	chosen, err := chooseCanaries(p.Space, p.Asked.Targets.ExcludedPorts)
	if err != nil {
		return engine.PhaseConfig{}, err
	}
	ports, err := target.ParsePorts(chosen)
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

// chooseCanaries picks dynamic ports that are not excluded and, where there are such, not probed anyway.
func chooseCanaries(s *target.Space, excluded *target.Ports) (string, error) {
	const first, count = 49152, 16384
	var fresh, probed []string
	for _, i := range rand.Perm(count) {
		port := uint16(first + i)
		if excluded != nil && excluded.Contains(port) {
			continue
		}
		if _, ok := s.Index(s.Addrs().At(0), port); ok {
			probed = append(probed, fmt.Sprint(port))
		} else if fresh = append(fresh, fmt.Sprint(port)); len(fresh) == plan.CanaryPorts {
			break
		}
	}
	chosen := append(fresh, probed...)
	if len(chosen) < plan.CanaryPorts {
		return "", errors.New("canary ports: all ports from 49152 on are excluded")
	}
	return strings.Join(chosen[:plan.CanaryPorts], ","), nil
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
