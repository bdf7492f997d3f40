package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"synoptic/results"
	"synoptic/scan/target"
)

// An exclusion that is given while a scan runs:
//
//	gate (scan's rule): lanes and beacons ask it ─▶ never ─▶ position unknown, counted
//	beacons are forgotten ─▶ the sentinel begins anew to learn what usually answers
//	connect: what is under way is cut short      ebpf: the generator's own table ─▶ as with the gate

// Exclude has nothing leave any more for more addresses; all are those that are excluded by then, more included. The gate's rule is
// the caller's. After an error the generator does probe some of them, and everything is paused.
func (s *Session) Exclude(all, more *target.Exclusions) error {
	s.live.Lock()
	defer s.live.Unlock()
	s.excluded.Store(all)
	s.beacons.set.Remove(more.Contains)
	s.exclusions.Add(1)
	err := s.backend.exclude(more)
	if err != nil {
		s.pacer.Pause()
		return fmt.Errorf("the scan is paused, for the programs in the kernel do not take the exclusion: %w", err)
	}
	return nil
}

// excludes tells whether an address was excluded while the session was there.
func (s *Session) excludes(addr netip.Addr) bool {
	x := s.excluded.Load()
	return x != nil && x.Contains(addr)
}

// never takes a position out of the coverage that is not probed, or not as often as asked for: it must not pass for silent. An
// answer that it has had stands.
func (ph *Phase) never(pos uint64, addr netip.Addr) {
	if old, ok := ph.results.Mark(pos, results.Unknown); !ok || old != 0 {
		return
	}
	ph.tally.unsent.Add(1)
	if ph.session.excludes(addr) {
		ph.tally.excluded.Add(1)
	}
}

func (b *packetBackend) exclude(*target.Exclusions) error { return nil }

func (b *kernelBackend) exclude(x *target.Exclusions) error {
	for _, ph := range b.session.phases {
		if ph.kernel == nil {
			continue
		}
		if err := ph.kernel.programs.Exclude(x.Prefixes()); err != nil {
			return err
		}
	}
	return nil
}

func (b *connectBackend) exclude(x *target.Exclusions) error {
	b.flights.cut(x.Contains)
	return nil
}

// flights are the connects under way.
type flights struct {
	mu  sync.Mutex
	all map[*flight]struct{}
}

type flight struct {
	addr netip.Addr
	end  context.CancelCauseFunc
}

// errExcluded is why a connect was cut short.
var errExcluded = errors.New("excluded")

// begin gives a connect a context that cut ends. The connect calls end when it is over.
func (f *flights) begin(ctx context.Context, addr netip.Addr) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	this := &flight{addr, cancel}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[*flight]struct{}{}
	}
	f.all[this] = struct{}{}
	return ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.all, this)
		cancel(nil)
	}
}

// cut ends the connects to some addresses: the kernel would repeat their SYNs.
func (f *flights) cut(some func(netip.Addr) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for this := range f.all {
		if some(this.addr) {
			this.end(errExcluded)
		}
	}
}
