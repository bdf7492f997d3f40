package sink

import (
	"testing"

	"synoptic/results/sink/batch"
)

func lines(words ...string) *batch.Batch {
	b := &batch.Batch{}
	for i, w := range words {
		b.Data = append(b.Data, w...)
		b.Events = append(b.Events, batch.Event{End: len(b.Data), Time: int64(i), Records: i + 1})
	}
	return b
}

// However batches are put together, every event keeps its bytes and its entry in the table.
func TestEventsStayApart(t *testing.T) {
	a, b := lines("one\n", "two\n"), lines("three\n", "", "five\n")
	joined := batch.Join(a, &batch.Batch{}, b)
	picked := batch.New()
	for i := range joined.Events {
		picked.AppendEvent(joined, i)
	}
	for _, got := range []*batch.Batch{joined, picked} {
		for i, want := range []string{"one\n", "two\n", "three\n", "", "five\n"} {
			if string(got.Event(i)) != want {
				t.Errorf("event %d is %q, want %q", i, got.Event(i), want)
			}
		}
		if got.Records() != 1+2+1+2+3 || got.Events[4].Time != 2 || got.Footprint() != int64(len(got.Data)+5*48) {
			t.Errorf("%d records, %d bytes: %+v", got.Records(), got.Footprint(), got.Events)
		}
	}
	if joined.Reset(); len(joined.Data) != 0 || joined.Records() != 0 || cap(joined.Data) == 0 {
		t.Errorf("after Reset: %+v", joined)
	}
	if string(a.Data) != "one\ntwo\n" || a.Events[1].End != 8 {
		t.Error("what was joined has changed")
	}
}
