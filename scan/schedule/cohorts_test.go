package schedule

import (
	"slices"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// Chunks count in the cohort of their positions, when they are not asked again and have been listened to.
func TestCohorts(t *testing.T) {
	l := NewLoss(1000, 64, 100_000, 1<<20, func(uint64, uint64, uint8) uint64 { return 0 })
	begin, n := l.CohortShape()
	if begin != 960 || n != 512 { // 256 of them at most, in whole chunks
		t.Fatalf("cohorts of %d from %d", n, begin)
	}
	heard := time.Unix(100, 0)
	ask := func(begin, end uint64, since time.Time) {
		l.Open(begin)
		l.Answer(begin, results.SYNACK, 0)
		l.Answer(begin+1, results.RST, 0)
		l.Answer(begin+2, results.RST, 1)
		FixedRetries{Loss: l}.Final(&Chunk{Begin: begin, End: end, Probes: 1, Since: since})
	}
	ask(1000, 1024, heard)
	ask(1024, 1088, heard)
	ask(1472, 1536, heard)
	ask(1536, 1600, heard.Add(1)) // answers may still come
	want := []estimate.Cohort{
		{Begin: 960, End: 1472, Asked: 88, First: [2]uint64{2, 2}, Found: [2]uint64{2, 4}},
		{Begin: 1472, End: 1984, Asked: 64, First: [2]uint64{1, 1}, Found: [2]uint64{1, 2}},
	}
	for range 2 {
		if got := l.Cohorts(heard); !slices.Equal(got, want) {
			t.Errorf("%+v, want\n%+v", got, want)
		}
	}
	l.End(heard.Add(1))
	want[1].Asked, want[1].First, want[1].Found = 128, [2]uint64{2, 2}, [2]uint64{2, 4}
	if got := l.Cohorts(heard); !slices.Equal(got, want) {
		t.Errorf("at the end: %+v, want\n%+v", got, want)
	}
}

// First tries count as soon as they have been sent for long enough, whether they are asked again or not, and not where they were taken back.
func TestFirstTries(t *testing.T) {
	l := NewLoss(0, 64, 1<<14, 1<<20, func(uint64, uint64, uint8) uint64 { return 0 })
	at := time.Unix(100, 0)
	p := FixedRetries{Retries: 2, Loss: l}
	ask := func(begin uint64, passes uint8, since time.Time) *Chunk {
		l.Open(begin)
		l.Answer(begin, results.SYNACK, 0)
		l.Answer(begin+1, results.SYNACK, 1)
		c := &Chunk{Begin: begin, End: begin + 64, Probes: passes, Since: since}
		p.Final(c)
		return c
	}
	ask(0, 1, at)
	ask(64, 1, at.Add(1)) // answers may still come
	ask(128, 2, at.Add(1))
	back := ask(192, 1, at)
	back.Probes = 0
	p.TakenBack(back)
	l.Open(256) // nothing has been sent
	want := []estimate.Cohort{
		{Begin: 0, End: 64, Asked: 64, First: [2]uint64{1, 0}, Found: [2]uint64{2, 0}},
		{Begin: 128, End: 192, Asked: 64, First: [2]uint64{1, 0}, Found: [2]uint64{2, 0}},
	}
	if got := l.FirstTries(at); !slices.Equal(got, want) {
		t.Errorf("%+v, want\n%+v", got, want)
	}
}
