package engine

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/ratelimit"
	"synoptic/scan/gate"
)

// Limits hold for connects: each sends one SYN, for it is cut short before the kernel would send the next, and what is silent is asked
// again under the limit. The slow prefix does not hold up the other.
func TestConnectUnderLimits(t *testing.T) {
	for _, room := range []int{gate.MaxParked, 3} {
		bubble.Test(t, func(t *testing.T) {
			const rate, attempts = 20, 3
			var n connectNet
			b, ph := n.begin(t)
			ph.plan.Asked.Attempts = attempts
			limits, err := gate.NewLimits([]gate.Limit{{PrefixRate: ratelimit.PrefixRate{Bits: 24, Rate: rate}}, {PrefixRate: ratelimit.PrefixRate{Bits: 32, Rate: 5}}})
			if err != nil {
				t.Fatal(err)
			}
			b.session.gate.Limit(limits)
			for b.session.gate.Parked() < gate.MaxParked-room {
				b.session.gate.Park()
			}
			type sent struct {
				to    netip.AddrPort
				after time.Duration
			}
			var syns []sent
			b.dial = func(ctx context.Context, remote netip.AddrPort) (netip.AddrPort, error) {
				begun := time.Since(n.begun)
				n.mu.Lock()
				syns = append(syns, sent{remote, begun})
				n.mu.Unlock()
				local, err := n.dial(ctx, remote)
				if took := time.Since(n.begun) - begun; took >= kernelAgain {
					t.Errorf("a connect took %v: the kernel has sent another SYN", took)
				}
				return local, err
			}
			if err := b.run(t.Context(), ph); err != nil {
				t.Fatal(err)
			}
			exact(t, ph)
			if parked := b.session.gate.Parked(); parked != gate.MaxParked-room {
				t.Errorf("%d positions are still said to be put off", parked-gate.MaxParked+room)
			}
			tries, last := map[netip.AddrPort]int{}, time.Duration(0)
			byPrefix := map[netip.Prefix][]time.Duration{}
			for _, s := range syns {
				tries[s.to]++
				last = max(last, s.after)
				for _, bits := range []int{24, 32} {
					p, _ := s.to.Addr().Prefix(bits)
					byPrefix[p] = append(byPrefix[p], s.after)
				}
			}
			for to, n := range tries {
				if to.Port() > 50 && n != attempts {
					t.Errorf("%v, which is silent, was tried %d times, want %d", to, n, attempts)
				}
			}
			for p, times := range byPrefix {
				slices.Sort(times)
				limit := map[int]int{24: rate, 32: 5}[p.Bits()]
				for i := limit + 1; i < len(times); i++ {
					if times[i]-times[i-limit-1] <= time.Second {
						t.Fatalf("%d SYNs to %v within a second, limit %d", limit+2, p, limit)
					}
				}
			}
			// 32 hosts of 50 ports that answer and 10 that are tried three times, and what beacons have.
			most := 32 * (50 + 10*attempts) * 21 / 20 * time.Second / rate
			if room < 10 { // what cannot be put off is looked at every connectWait
				most = most * 5 / 4
			}
			if last > most+most/20 {
				t.Errorf("room for %d: the last SYN left after %v, %v would do", room, last, most)
			}
		})
	}
}

// A scan that is stopped while silent positions are to be tried again says nothing of them.
func TestConnectStoppedUnderLimits(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var n connectNet
		b, ph := n.begin(t)
		ph.plan.Asked.Attempts = 3
		limits, _ := gate.NewLimits([]gate.Limit{{PrefixRate: ratelimit.PrefixRate{Bits: 24, Rate: 50}}})
		b.session.gate.Limit(limits)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := b.run(ctx, ph); err != nil {
			t.Fatal(err)
		}
		end, done := ph.Counts(), ph.Done()
		if end.Open+end.Closed+end.Filtered+end.Unsent != done || end.Unknown > 0 || done != ph.plan.Positions.Len() && done == 0 || b.session.gate.Parked() != 0 {
			t.Errorf("%+v of %d", end, done)
		}
	})
}
