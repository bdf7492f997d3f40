package ratesim

import (
	"testing"
	"time"
)

func BenchmarkCell(b *testing.B) {
	for range b.N {
		c := bottlenecked(Path{Capacity: 100e3, Queue: 20 * time.Millisecond, RTT: 50 * time.Millisecond}, 0.3)
		s, r := c.Run(1)
		b.ReportMetric(s.Ratio, "ratio")
		b.ReportMetric(float64(r.Sent), "sent")
	}
}
