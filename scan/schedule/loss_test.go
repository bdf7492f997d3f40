package schedule

import (
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/estimate"
)

// A chunk of 64: 40 answer the first try, 10 the second, a part of them before the end.
func TestLossKnowsWhatWasListenedTo(t *testing.T) {
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	play := func(t *testing.T, retired bool, look func(l *Loss) estimate.Counts) estimate.Counts {
		m, err := window.New(0, 64, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		l := NewLoss(0, 64, 64, m.Reach(), m.CountSilent)
		answer := func(begin, end uint64, attempt uint8) {
			for pos := begin; pos < end; pos++ {
				m.Mark(pos, results.Closed)
				l.Answer(pos, results.RST, attempt)
			}
		}
		l.Open(0)
		m.Advance(64, nil)
		c := &Chunk{End: 64, Probes: 1, Passes: 1, Since: at(20)}
		l.sent(c, false)
		answer(0, 40, 0)
		l.heard(c)
		c.Probes, c.Since = 2, at(300)
		l.sent(c, retired)
		answer(40, 50, 1)
		m.Mark(50, results.Filtered)
		return look(l)
	}
	end := func(ms int) func(*Loss) estimate.Counts {
		return func(l *Loss) estimate.Counts {
			l.End(at(ms))
			l.End(at(10_000)) // is the end no more
			return l.Counts(time.Time{})
		}
	}
	now := func(ms int) func(*Loss) estimate.Counts {
		return func(l *Loss) estimate.Counts { return l.Counts(at(ms)) }
	}
	back := func(l *Loss) estimate.Counts { // the second pass has not travelled
		l.takenBack(&Chunk{End: 64, Probes: 1, Passes: 1, Since: at(500)})
		return l.Counts(at(1000))
	}
	counts := func(second, once, twice uint64, left map[int]estimate.Left) (c estimate.Counts) {
		c.Answered[estimate.Closed] = [MaxAttempts]uint64{40, second}
		c.Silent[1], c.Silent[2] = once, twice
		for k, l := range left {
			c.Left[k] = l
		}
		return c
	}
	for _, c := range []struct {
		name    string
		retired bool
		look    func(*Loss) estimate.Counts
		want    estimate.Counts
	}{
		{"ended, all listened to", true, end(1000), counts(10, 0, 13, map[int]estimate.Left{2: {Silent: 13}})},
		{"ended, the second pass was not", true, end(200), counts(0, 23, 0, map[int]estimate.Left{1: {Silent: 13, Late: [2]uint64{0, 10}}})},
		{"ended between two passes", false, end(1000), counts(10, 0, 13, map[int]estimate.Left{2: {Silent: 13}})},
		{"runs, the second pass is not listened to", true, now(200), counts(0, 24, 0, nil)},
		{"runs, all listened to", true, now(1000), counts(10, 0, 13, map[int]estimate.Left{2: {Silent: 13}})},
		{"runs, the second pass is taken back", true, back, counts(0, 23, 0, nil)},
		{"runs, to be asked again", false, now(1000), counts(0, 24, 0, nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := play(t, c.retired, c.look); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
