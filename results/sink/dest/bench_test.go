package dest_test

import (
	"net/http"
	"testing"

	"synoptic/results/sink/batch"
)

// BenchmarkHEC posts batches of the size that an Output hands on to a collector that looks at nothing.
func BenchmarkHEC(b *testing.B) {
	s := newHECStub(b, false)
	s.fault = func(_ int, w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		return say(w, 200, `{"text":"Success","code":0}`)
	}
	d := s.open("hec+https", "")
	records := encoded(b, 200)
	for len(records.Data) < batch.Size {
		records = encoded(b, len(records.Events)+10)
	}
	b.SetBytes(int64(len(records.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Deliver(b.Context(), records); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(records.Events)*b.N)/b.Elapsed().Seconds(), "records/s")
}
