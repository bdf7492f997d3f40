package engine

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/scan/gate"
)

// holdBack is a rule that answers later for the first so many questions about every third position, and never for
// port 80 of some hosts.
func holdBack(times int) gate.Rule {
	var mu sync.Mutex
	asked := map[uint64]int{}
	return gate.RuleFunc(func(pos uint64, addr netip.Addr, port uint16) gate.Answer {
		if never(addr, port) {
			return gate.Never
		}
		if pos%3 != 0 || pos%50_000 > 500 {
			return gate.Go
		}
		mu.Lock()
		defer mu.Unlock()
		if asked[pos]++; asked[pos] <= times {
			return gate.Later
		}
		return gate.Go
	})
}

func never(addr netip.Addr, port uint16) bool { return port == 80 && addr.As4()[3] == 7 }

// What the gate puts off is probed all the same, once; what it never lets go counts as not sent.
func TestGateHoldsProbesBack(t *testing.T) {
	testnet.New(t, testnet.Config{Gateway: true})
	for _, c := range []struct {
		lanes, times int
		room         int // for positions that are put off
	}{{1, 1, gate.MaxParked}, {3, 4, gate.MaxParked}, {2, 2, 10}, {3, 3, 1}} {
		s, ph, w := wiredSession(t, c.lanes, 1<<20)
		s.gate.Add(holdBack(c.times))
		for s.gate.Parked() < gate.MaxParked-c.room {
			s.gate.Park()
		}
		if err := s.Run(t.Context(), ph, results.SinkFuncs{}); err != nil {
			t.Fatal(err)
		}
		var neverSent uint64
		for pos := range ph.plan.Positions.End {
			if addr, port := ph.id.endpoint(pos); never(addr, port) {
				neverSent++
				if state, ok := ph.results.Get(pos); w.probes[pos] != 0 || ok && state != results.Unknown {
					t.Fatalf("position %d was never to be probed: %d probes, state %v", pos, w.probes[pos], state)
				}
			}
		}
		checkProbed(t, ph, w)
		n := ph.plan.Positions.Len()
		if uint64(len(w.probes)) != n-neverSent || ph.tally.unsent.Load() != neverSent || ph.cur.done() != n {
			t.Errorf("%+v: %d of %d probed, %d said not to be sent, want %d; %d done", c, len(w.probes), n-neverSent, ph.tally.unsent.Load(), neverSent, ph.cur.done())
		}
		if parked := s.gate.Parked(); parked != gate.MaxParked-c.room {
			t.Errorf("%+v: %d positions are still said to be put off", c, parked-gate.MaxParked+c.room)
		}
	}
}

// A scan that is stopped while positions are put off gives them up: they are not silent.
func TestStoppedWhileHeldBack(t *testing.T) {
	testnet.New(t, testnet.Config{Gateway: true})
	s, ph, w := wiredSession(t, 2, 1<<20)
	s.gate.Add(gate.RuleFunc(func(pos uint64, _ netip.Addr, _ uint16) gate.Answer {
		if pos%3 == 0 {
			return gate.Later
		}
		return gate.Go
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.Run(ctx, ph, results.SinkFuncs{}); err != nil {
		t.Fatal(err)
	}
	checkProbed(t, ph, w)
	sent, unsent, n := uint64(len(w.probes)), ph.tally.unsent.Load(), ph.cur.done()
	if sent+unsent != n || unsent == 0 || ph.silent() != sent || ph.Complete() {
		t.Errorf("%d probed and %d not, of %d handed out; %d silent, complete %v", sent, unsent, n, ph.silent(), ph.Complete())
	}
	if parked := s.gate.Parked(); parked != 0 {
		t.Errorf("%d positions are still said to be put off", parked)
	}
}

// Connect asks later what it is told to, and never what it must not.
func TestGateHoldsConnectsBack(t *testing.T) {
	b, ph := connectScan(t, "10.77.0.0/24", "22,80", 16, func(netip.AddrPort) reaction { return reaction{} })
	b.session.gate.Add(holdBack(3))
	if err := b.run(t.Context(), ph); err != nil {
		t.Fatal(err)
	}
	if c := ph.Counts(); c.Open != 511 || c.Unsent != 1 || c.Sent != 511 || ph.Done() != 512 || b.session.gate.Parked() != 0 {
		t.Errorf("%+v, %d done, %d put off", c, ph.Done(), b.session.gate.Parked())
	}
}
