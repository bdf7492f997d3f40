package plan

import (
	"errors"
	"testing"

	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/permute"
	"synoptic/scan/target"
)

// spaceOf is a space of the addresses on other ports.
func spaceOf(t testing.TB, addrs *target.Set, ports string) *target.Space {
	t.Helper()
	p, err := target.ParsePorts(ports)
	if err != nil {
		t.Fatal(err)
	}
	s, err := target.NewSpace(addrs, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Canary ports before a scan: auto can fall back in that phase as it can in the scan, and what was decided once
// is not asked of the host again.
func TestPhaseKeepsTheChoice(t *testing.T) {
	host := &fakeHost{processors: 8}
	p, err := New(Config{
		Targets: targets(t, "1-100", "10.0.0.0/24"), Rate: 400e3, Canaries: true, Verify: true, ShowHosts: true, Show: results.Closed,
		ShardI: 2, ShardOf: 4, Host: host,
	})
	if err != nil {
		t.Fatal(err)
	}
	asked := host.asked
	ph, err := p.Phase(PhaseConfig{Space: spaceOf(t, p.Space.Addrs(), "50000,50001")})
	if err != nil {
		t.Fatal(err)
	}
	if host.asked != asked {
		t.Errorf("the host was asked %d more questions", host.asked-asked)
	}
	if ph.Choice != p.Choice || !ph.Choice.Auto || ph.Choice.Backend != BackendEBPF {
		t.Errorf("the choice is %+v, the plan's %+v", ph.Choice, p.Choice)
	}
	why := errors.New("the MTU is 9000")
	if got, want := ph.PacketSockets(why), p.PacketSockets(why); got != want || got.Lanes != 2 {
		t.Errorf("it falls back to %+v, the plan to %+v", got, want)
	}
	if ph.ScanID != p.ScanID || ph.Routes != p.Routes || ph.SourcePorts != p.SourcePorts || ph.Pace != p.Pace || ph.FrameLen != p.FrameLen {
		t.Error("it is another scan")
	}
	if ph.Probes() != 512 || ph.Permutation.Len() != 512 || ph.Window < 512 || ph.Window >= p.Space.Len() || ph.Space.NumPorts() != 2 {
		t.Errorf("%d probes in a window of %d", ph.Probes(), ph.Window)
	}
	a := &ph.Asked
	if a.Canaries || a.Verify || a.ShowHosts || a.Frames || a.Show != results.Open || a.Attempts != DefaultAttempts || ph.shard() != "" {
		t.Errorf("%+v", a)
	}
	if p.Asked.ShardOf != 4 || !p.Asked.Canaries || p.Asked.Show != results.Closed || p.Probes() != 6400 {
		t.Errorf("the plan was changed: %+v", p.Asked)
	}
	if ph.Digest() == p.Digest() || ph.PortsDigest() == p.PortsDigest() || ph.TargetsDigest() != p.TargetsDigest() {
		t.Error("the digests are not those of the phase")
	}
}

// A phase over a part of the same space keeps its order.
func TestPhaseOfTheSameSpace(t *testing.T) {
	p, err := New(Config{Targets: targets(t, "80", "10.0.0.0/24"), TargetRecall: 0.99, Host: &fakeHost{}})
	if err != nil {
		t.Fatal(err)
	}
	rest := permute.Range{Begin: 100, End: 200}
	ph, err := p.Phase(PhaseConfig{Positions: rest, Attempts: 1, Verify: true, Frames: true, Show: results.Filtered})
	if err != nil {
		t.Fatal(err)
	}
	if ph.Positions != rest || ph.Permutation != p.Permutation || ph.Seed != p.Seed || ph.Digest() != p.Digest() {
		t.Errorf("%v in another order", ph.Positions)
	}
	if a := ph.Asked; a.Attempts != 1 || a.TargetRecall != 0 || !a.Verify || !a.Frames || a.Show != results.Filtered {
		t.Errorf("%+v", a)
	}
	if p.Asked.TargetRecall != 0.99 || p.Positions.Len() != 256 {
		t.Error("the plan was changed")
	}
	seeded, err := p.Phase(PhaseConfig{Space: p.Space, Seed: 42, HasSeed: true, Positions: rest})
	if err != nil || seeded.Seed != 42 || seeded.Permutation.Params() == p.Permutation.Params() || seeded.Positions != rest || seeded.Asked.TargetRecall != 0.99 {
		t.Errorf("seed %d, %v", seeded.Seed, err)
	}
}

func TestPhaseRefuses(t *testing.T) {
	p, err := New(Config{Targets: targets(t, "80", "10.0.0.0/24"), Host: &fakeHost{paths: []route.Path{onLink(ethernet(2, "veth0"))}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]PhaseConfig{
		"an address without a route": {Space: spaceOf(t, setOf(t, "10.0.0.255-10.0.1.0"), "80")},
		"IPv6":                       {Space: spaceOf(t, setOf(t, "fd00::1"), "80")},
		"positions beyond the end":   {Positions: permute.Range{Begin: 1, End: 257}},
		"no positions":               {Positions: permute.Range{Begin: 7, End: 7}},
		"too many attempts":          {Attempts: MaxAttempts + 1},
		"negative attempts":          {Attempts: -1},
	} {
		if _, err := p.Phase(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := p.Phase(PhaseConfig{Space: spaceOf(t, setOf(t, "10.0.0.7 10.0.0.255"), "80")}); err != nil {
		t.Error(err)
	}
}
