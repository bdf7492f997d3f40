package schedule

import (
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/permute"
)

// A chunk whose passes were worth nothing has the last one anew, once, with the same attempt; one that is answered by then has not.
func TestWorthlessPasses(t *testing.T) {
	const length = 1024
	m, err := window.New(0, 2*length, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	silent := func(begin, end uint64) uint64 { return m.CountSilent(begin, end, 0) }
	loss := NewLoss(0, length, 2*length, m.Reach(), func(begin, end uint64, log2 uint8) uint64 { return m.CountSilent(begin, end, log2) })
	now := epoch
	var asked [][]Span
	var twice []uint64
	settled := map[uint64]int{}
	s := New(Config{
		Positions: permute.Range{Begin: 0, End: 2 * length}, ChunkLen: length, Reach: m.Reach(), Policy: FixedRetries{Retries: 1, Loss: loss}, Silent: silent,
		Gap: func() time.Duration { return 100 * time.Millisecond }, Trusted: func() time.Time { return now },
		Settled:   func(a Asked) { settled[a.Begin] = len(a.Passes) },
		Worthless: func(passes []Span) bool { asked = append(asked, passes); return true },
		Twice:     func(begin uint64, _ Span) { twice = append(twice, begin) },
	})
	attempts := map[uint64][]uint8{}
	for range 100_000 {
		p, wait := s.Next(now)
		if p == nil {
			if wait < 0 {
				break
			}
			now = now.Add(max(wait, time.Millisecond))
			continue
		}
		if p.First {
			loss.Open(p.Begin)
			m.Advance(p.End, nil)
		}
		attempts[p.Begin] = append(attempts[p.Begin], p.Attempt(p.Begin))
		p.Cursor = p.End
		now = now.Add(10 * time.Millisecond)
		if p.Begin == length && p.Attempt(p.Begin) == 1 { // all of the second chunk answers the retry
			for pos := p.Begin; pos < p.End; pos++ {
				if _, ok := m.Mark(pos, results.Closed); ok {
					loss.Answer(pos, results.RST, 1)
				}
			}
		}
		s.Finish(p, now)
	}
	if got := attempts[0]; len(got) != 3 || got[0] != 0 || got[1] != 1 || got[2] != 1 {
		t.Errorf("attempts at the silent chunk: %v", got)
	}
	if got := attempts[length]; len(got) != 2 {
		t.Errorf("attempts at the chunk that answers: %v", got)
	}
	if len(asked) != 1 || len(asked[0]) != 2 || settled[0] != 2 {
		t.Errorf("asked about %v, settled %v", asked, settled)
	}
	if len(twice) == 0 || twice[0] != 0 || len(twice) > 2 {
		t.Errorf("told of chunks asked twice: %v", twice)
	}
	if first, second := loss.Tries(length); first != 0 || second != length {
		t.Errorf("%d have answered the first attempt, %d the second", first, second)
	}
}
