package rtt

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
		s := NewSendTimes(rate, total)
		if len(s.micros) > sendTimeEntries {
			t.Fatalf("%d entries, want at most %d", len(s.micros), sendTimeEntries)
		}
		span := uint64(len(s.micros)) * s.Granule()
		if need := min(total, uint64(rate*sendTimeHorizon.Seconds())); span < need {
			t.Fatalf("table spans %d positions, want %d", span, need)
		}
		begin := rapid.Uint64Range(0, total-1).Draw(t, "begin") &^ (s.Granule() - 1)
		sent := rapid.OneOf(rapid.Uint64Range(1, 300), rapid.Uint64Range(span, span+300)).Draw(t, "sent")
		if sent > 10_000 {
			begin = max(begin, total-min(total, 300)) &^ (s.Granule() - 1) // a wide span is only looked at near its end
		}
		end := min(total, begin+sent)
		sentAt := func(pos uint64) int64 { return 1_800_000_000e9 + int64(pos>>s.shift)*1000 }
		for pos := begin; pos < end; pos++ {
			s.Set(pos, sentAt(pos))
		}
		s.Sent(end)
		for pos := begin; pos < end; pos++ {
			got, ok := s.RTT(pos, sentAt(pos)+int64(250*time.Microsecond))
			if within := end-pos&^(s.Granule()-1) <= span; ok != within {
				t.Fatalf("position %d of [%d,%d), span %d: known %v", pos, begin, end, span, ok)
			}
			if ok && got != 250*time.Microsecond {
				t.Fatalf("position %d: rtt %v, want 250µs", pos, got)
			}
		}
		s.Sent(end + span)
		if _, ok := s.RTT(end-1, 0); ok {
			t.Fatal("a position whose entry is reused has a send time")
		}
	})
}

// A reply that comes while the clock word wraps (every 71 minutes) has the right round trip, and
// one that seems to precede its probe has none below zero.
func TestSendTimesWrap(t *testing.T) {
	s := NewSendTimes(1000, 1000)
	wrap := int64(1<<32) * 1000
	s.Set(5, wrap-10_000)
	if got, _ := s.RTT(5, wrap+20_000); got != 30*time.Microsecond {
		t.Errorf("rtt over the wrap is %v, want 30µs", got)
	}
	if got, _ := s.RTT(5, wrap-50_000); got != 0 {
		t.Errorf("rtt of a reply before its probe is %v, want 0", got)
	}
}
