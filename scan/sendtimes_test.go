package scan

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Every position within the table's span has the time of a probe sent in its own granule; older
// ones have none.
func TestSendTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.5, 20e6).Draw(t, "rate")
		total := rapid.Uint64Range(1, 1<<48).Draw(t, "positions")
		s := newSendTimes(rate, total)
		if len(s.micros) > sendTimeEntries {
			t.Fatalf("%d entries, want at most %d", len(s.micros), sendTimeEntries)
		}
		span := uint64(len(s.micros)) * s.granule()
		if need := min(total, uint64(rate*sendTimeHorizon.Seconds())); span < need {
			t.Fatalf("table spans %d positions, want %d", span, need)
		}
		begin := rapid.Uint64Range(0, total-1).Draw(t, "begin") &^ (s.granule() - 1)
		sent := rapid.OneOf(rapid.Uint64Range(1, 300), rapid.Uint64Range(span, span+300)).Draw(t, "sent")
		if sent > 10_000 {
			begin = max(begin, total-min(total, 300)) &^ (s.granule() - 1) // a wide span is only looked at near its end
		}
		end := min(total, begin+sent)
		sentAt := func(pos uint64) int64 { return 1_800_000_000e9 + int64(pos>>s.shift)*1000 }
		for pos := begin; pos < end; pos++ {
			s.set(pos, sentAt(pos))
		}
		s.sent(end)
		for pos := begin; pos < end; pos++ {
			got, ok := s.rtt(pos, sentAt(pos)+int64(250*time.Microsecond))
			if within := end-pos&^(s.granule()-1) <= span; ok != within {
				t.Fatalf("position %d of [%d,%d), span %d: known %v", pos, begin, end, span, ok)
			}
			if ok && got != 250*time.Microsecond {
				t.Fatalf("position %d: rtt %v, want 250µs", pos, got)
			}
		}
		s.sent(end + span)
		if _, ok := s.rtt(end-1, 0); ok {
			t.Fatal("a position whose entry is reused has a send time")
		}
	})
}

// A reply that comes while the clock word wraps (every 71 minutes) has the right round trip, and
// one that seems to precede its probe has none below zero.
func TestSendTimesWrap(t *testing.T) {
	s := newSendTimes(1000, 1000)
	wrap := int64(1<<32) * 1000
	s.set(5, wrap-10_000)
	if got, _ := s.rtt(5, wrap+20_000); got != 30*time.Microsecond {
		t.Errorf("rtt over the wrap is %v, want 30µs", got)
	}
	if got, _ := s.rtt(5, wrap-50_000); got != 0 {
		t.Errorf("rtt of a reply before its probe is %v, want 0", got)
	}
}

// Lanes store out of order: what one lane has sent last does not make the entries of another one's
// chunks look newer, or take those of positions a span ahead.
func TestSendTimesOutOfOrder(t *testing.T) {
	e := laneEngine(t, 1<<20)
	e.Rate = 16 // of 8 s: a span of 128 positions
	l := &txLane{engine: e}
	p := &pass{first: true, step: stepAll, chunk: chunk{end: e.Positions.End}}
	at := func(us int64) int64 { return 1_800_000_000e9 + us*1000 }
	l.sentAt(p, []uint64{300, 301}, at(10), 0)
	l.sentAt(p, []uint64{200, 201}, at(20), 0) // a lane behind
	for pos, sent := range map[uint64]int64{300: 10, 301: 10, 200: 20, 201: 20} {
		if got, ok := e.times[0].Load().rtt(pos, at(50)); !ok || got != time.Duration(50-sent)*time.Microsecond {
			t.Errorf("position %d, sent at %d µs: %v, %v", pos, sent, got, ok)
		}
	}
	l.sentAt(p, []uint64{172, 173}, at(30), 0) // a lane more than a span behind
	if got, ok := e.times[0].Load().rtt(300, at(50)); !ok || got != 40*time.Microsecond {
		t.Errorf("position 300: %v, %v after its entry was stored for 172", got, ok)
	}
	if got, ok := e.times[0].Load().rtt(172, at(50)); ok {
		t.Errorf("position 172, a span behind, has the round trip %v", got)
	}
}
