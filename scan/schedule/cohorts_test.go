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
