package engine

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/rawsock/route"
	"synoptic/scan/beacon"
)

const msec = int64(time.Millisecond)

// Gaps are long steps of the newest answered probe, cut off at the time before which no fault has begun.
func TestGaps(t *testing.T) {
	var g gaps
	for _, good := range []int64{0, 100, 110, 110, 159, 209, 205, 260, 300, 400} { // 159 to 260 in two steps
		g.look(good * msec)
	}
	for _, c := range []struct {
		since int64
		want  []gap
	}{
		{0, []gap{{159, 260}, {300, 400}}},
		{208, []gap{{208, 260}, {300, 400}}},
		{209, []gap{{209, 260}, {300, 400}}},
		{260, []gap{{300, 400}}},
		{399, []gap{{399, 400}}},
		{400, nil},
	} {
		got := g.since(c.since * msec)
		for i := range got {
			got[i].from, got[i].to = got[i].from/msec, got[i].to/msec
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("since %d: %v, want %v", c.since, got, c.want)
		}
	}
}

// The newest gaps are kept: at most one in a tick, more than there are ticks in the time by which news may be late.
func TestGapsKept(t *testing.T) {
	var g gaps
	for i := range int64(1000) {
		g.look((1 + i*60) * msec)
	}
	all := g.since(0)
	if len(all) != 1 || all[0].to != (1+999*60)*msec || all[0].from > all[0].to-60*int64(newsLate/beacon.TickStep)*msec {
		t.Errorf("%v", all)
	}
}

// Time in which the sentinel has not looked is not time in which it could have read the news.
func TestHistoryAwake(t *testing.T) {
	var n connectNet
	_, ph := n.begin(t)
	var h history
	for i := range int64(50) {
		h.note(1e9+i*10*msec, ph)
	}
	if at := h.awake(time.Second); at != 0 {
		t.Errorf("since %d of half a second", at)
	}
	if at := h.awake(100 * time.Millisecond); at != 1e9+390*msec {
		t.Errorf("since %d", at)
	}
	for i := range int64(5) {
		h.note(5e9+i*10*msec, ph) // after 3.5 s: as 20 ms
	}
	if at := h.awake(100 * time.Millisecond); at != 1e9+450*msec {
		t.Errorf("since %d, a long look before", at)
	}
	for i := range int64(2000) {
		h.note(6e9+i*msec, ph)
	}
	if at := h.awake(3 * time.Second); at != 4999*msec {
		t.Errorf("since %d, longer than is remembered", at)
	}
	if at := h.awake(time.Minute); at != 0 {
		t.Errorf("since %d", at)
	}
}

// saying is a host that names one fault or none.
type saying struct{ fault *route.FaultError }

func (s *saying) Changes() <-chan route.Change { return nil }

func (s *saying) Check(*route.Path, netip.Addr, route.Options) error {
	if s.fault == nil {
		return nil
	}
	return s.fault
}

// News of a fault that is over is about the gaps of late: from the first of them on all is asked again. News of one that is under
// way is not: what was answered before has travelled.
func TestNewsOfTheLink(t *testing.T) {
	const newest = 2900
	for _, c := range []struct {
		what  string
		gap   [2]int64 // ms; dense otherwise
		deaf  [2]int64 // the sentinel does not look
		kind  route.ChangeKind
		cause route.Cause
		want  int64 // since when it is taken back; 0: nothing is
	}{
		{"no gap", [2]int64{}, [2]int64{}, route.CarrierLost, "", newest},
		{"a gap", [2]int64{2300, 2500}, [2]int64{}, route.CarrierLost, "", 2300},
		{"a gap, interface down", [2]int64{2300, 2500}, [2]int64{}, route.LinkDown, "", 2300},
		{"too long ago", [2]int64{1300, 1500}, [2]int64{}, route.CarrierLost, "", newest},
		{"not too long ago for who stood still", [2]int64{1300, 1500}, [2]int64{1600, 2800}, route.CarrierLost, "", 1300},
		{"no fault", [2]int64{2300, 2500}, [2]int64{}, route.LinkNew, "", 0},
		{"under way", [2]int64{2300, 2500}, [2]int64{}, route.CarrierLost, route.CauseNoCarrier, newest},
		{"under way, and one before is over", [2]int64{2300, 2500}, [2]int64{}, route.CarrierBack, route.CauseNoCarrier, 2300},
		{"under way, and it has been down before", [2]int64{2300, 2500}, [2]int64{}, route.LinkUp, route.CauseNoCarrier, newest},
		{"over as it should be", [2]int64{2300, 2500}, [2]int64{}, route.CarrierBack, "", 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			var n connectNet
			b, ph := n.begin(t)
			var host saying
			s := b.session
			s.routes = &route.Plan{Paths: []route.Path{{Link: route.Link{Index: 2, Name: "eth0"}}}}
			s.host.watcher, s.host.targets = &host, make([]netip.Addr, 1)
			var taken takings
			w := newSentinel(ph, &taken, nil)
			for at := int64(1000); at <= newest; at += 10 {
				if at <= c.gap[0] || at >= c.gap[1] {
					s.beacons.set.Heard(at * msec)
				}
				if at <= c.deaf[0] || at >= c.deaf[1] {
					w.done.note(at*msec, ph)
					w.lookAtGaps()
				}
			}
			if c.cause != "" {
				host.fault = &route.FaultError{Cause: c.cause}
			}
			now := newest * msec
			w.late(now, &route.Change{Kind: c.kind, Link: 2}, w.check(t.Context(), now))
			if c.want == 0 {
				if w.release != nil {
					t.Errorf("waits since %d", w.since/msec)
				}
				return
			}
			if w.release == nil || w.since != c.want*msec || s.trust.since.Load() != w.since || w.takenSince().UnixNano() != w.since {
				t.Errorf("waits %v, since %d, trusted until %d, taken back since %v", w.release != nil, w.since/msec, s.trust.since.Load()/msec, w.takenSince().UnixNano()/msec)
			}
			w.resume(false)
			if w.past || len(taken.since) != 1 || taken.since[0].UnixNano() != c.want*msec {
				t.Errorf("taken back since %v", taken.since)
			}
		})
	}
}
