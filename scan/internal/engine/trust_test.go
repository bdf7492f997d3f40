package engine

import (
	"testing"

	"synoptic/results"
	"synoptic/scan/beacon"
)

// What is unknown of canary ports is not unknown of the scan's ports.
func TestEvidenceOfTheLastPhase(t *testing.T) {
	s := &Session{beacons: &beacons{set: beacon.New(1)}, phases: []*Phase{{}, {}}}
	for phase, want := range []struct {
		state   string
		unknown uint64
	}{{results.EvidenceStateNone, 0}, {results.EvidenceStateLost, 3}} {
		s.phases[phase].tally.unknown.Store(3)
		if e := s.Evidence(); e.State != want.state || e.Unknown != want.unknown {
			t.Errorf("3 unknown in phase %d: %+v", phase, e)
		}
	}
}
