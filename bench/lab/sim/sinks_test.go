package sim

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/results/sink"
)

// What a file output holds is what the scan has given, record by record: real sinks, through their queue and
// goroutines, in the bubble's time.
func TestRealSinks(t *testing.T) {
	last := need.Sample[uint64](t, 6, 15, 30)
	for seed := uint64(1); seed <= last; seed++ {
		var want, got []byte
		bubble.Test(t, func(t *testing.T) {
			d := draw(seed)
			if seed == 1 {
				d = everything()
			}
			file := filepath.Join(t.TempDir(), "records.jsonl")
			var out *sink.Output
			o := d.run(t, func(r *Records) results.Sink {
				var err error
				if out, err = sink.Open("jsonl:"+file, sink.Config{}); err != nil {
					t.Fatal(err)
				}
				return sink.NewTee(out, r)
			})
			if o == nil {
				return
			}
			if o.records.Opening == nil { // stopped before the first record
				out.Close()
				return
			}
			if err := out.Close(); err != nil {
				t.Error(err)
			}
			for _, err := range o.check() {
				t.Errorf("seed %d: %v", seed, err)
			}
			want = o.records.lines(t)
			var err error
			if got, err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		})
		if !bytes.Equal(got, want) {
			t.Errorf("seed %d: the file is not what was given:\n%s\nwant\n%s", seed, got, want)
		}
	}
}

// lines are the records as JSON lines.
func (r *Records) lines(t *testing.T) (b []byte) {
	b, err := r.Opening.AppendJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	told, noticed := 0, 0
	notices := func(before int) {
		for ; noticed < len(r.Noticed) && r.NoticedAt[noticed][0] <= before && r.NoticedAt[noticed][1] <= told; noticed++ {
			if b, err = r.Noticed[noticed].AppendJSON(b); err != nil {
				t.Fatal(err)
			}
			b = append(b, '\n')
		}
	}
	events := func(after int) {
		notices(after)
		for ; told < len(r.Told) && r.ToldAfter[told] <= after; notices(after) {
			b = append(r.Told[told].AppendJSON(b, r.Opening.ScanID), '\n')
			told++
		}
	}
	for i := range r.All {
		events(i)
		b = append(r.All[i].AppendJSON(b, r.Opening.ScanID), '\n')
	}
	events(len(r.All))
	for i := range r.Summaries {
		b = append(r.Summaries[i].AppendJSON(b, r.Opening.ScanID), '\n')
	}
	notices(len(r.All) + len(r.Summaries))
	if b, err = r.Closing.AppendJSON(b); err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// A destination that is slow makes senders pause, and loses nothing.
func TestSlowSink(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		d := everything()
		d.slow = 500 * time.Millisecond
		o := d.run(t, nil)
		for _, err := range o.check() {
			t.Error(err)
		}
		if len(o.records.All) < 300 {
			t.Errorf("%d records", len(o.records.All))
		}
	})
}
