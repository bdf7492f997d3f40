package auto

import (
	"math"
	"time"
)

// Outcome is what came of a beacon.
type Outcome struct {
	Sent   int64         // when it left
	RTT    time.Duration // of the answer; not used where it was lost
	Base   time.Duration // the smallest round trip of this beacon before; 0: not known
	Lost   bool          // no answer within the time-out
	Late   bool          // an answer after all, to what was told to be lost
	Proven bool          // this beacon has been answered before, so its silence says something
}

// sample is an answer.
type sample struct {
	at     int64   // when the beacon left
	sent   float64 // packets that had been sent by then
	queue  float64 // s: how much longer than its base the round trip was
	excess float64 // s: how much of it the model did not know of
}

// kept samples are remembered.
const kept = 512

// samples are the newest answers, as they came in.
type samples struct {
	all [kept]sample
	n   int
}

func (s *samples) add(x sample) {
	s.all[s.n%kept] = x
	s.n++
}

// back is the i-th newest, from 0; there must be so many.
func (s *samples) back(i int) *sample { return &s.all[(s.n-1-i)%kept] }

func (s *samples) len() int { return min(s.n, kept) }

// fit is a bottleneck seen through the answers to what was sent in a span: while a queue stands, what leaves it does so at the
// capacity, so the time at which answers leave the queue grows by 1/C for each packet sent.
type fit struct {
	n        int
	capacity float64 // packets per second
	err      float64 // standard error of the capacity, as a share of it
	rise     float64 // s: how much the queue grew over the span
	noise    float64 // s: what a single sample is off the line
}

// sums are what a line is fitted from.
type sums struct{ n, x, y, xx, xy, yy float64 }

func (s *sums) add(x, y float64) {
	s.n++
	s.x += x
	s.y += y
	s.xx += x * x
	s.xy += x * y
	s.yy += y * y
}

// line is the slope with its standard error, and the standard deviation from it.
func (s *sums) line() (slope, err, dev float64) {
	sxx, sxy, syy := s.xx-s.x*s.x/s.n, s.xy-s.x*s.y/s.n, s.yy-s.y*s.y/s.n
	if sxx <= 0 || s.n < 3 {
		return 0, math.Inf(1), 0
	}
	slope = sxy / sxx
	dev = math.Sqrt(max(syy-slope*sxy, 0) / (s.n - 2))
	return slope, dev / math.Sqrt(sxx), dev
}

// fit fits the samples that were sent within [from, to]. A sample never is more exact than floor s.
func (s *samples) fit(from, to int64, floor float64) (f fit) {
	var all sums
	var first sample
	begin, end := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range s.len() {
		x := s.back(i)
		if x.at < from || x.at > to {
			continue
		}
		if all.n == 0 {
			first = *x
		}
		all.add(x.sent-first.sent, seconds(x.at-first.at)+x.queue)
		begin, end = min(begin, x.at), max(end, x.at)
	}
	f.n = int(all.n)
	if f.n < 4 || end-begin < int64(5*time.Millisecond) {
		return fit{n: f.n, err: math.Inf(1)}
	}
	slope, err, dev := all.line()
	if slope <= 0 {
		return fit{n: f.n, err: math.Inf(1)}
	}
	if dev < floor {
		err, dev = err*floor/max(dev, 1e-9), floor
	}
	f.capacity, f.err, f.noise = 1/slope, err/slope, dev
	var spread sums
	for i := range s.len() {
		if x := s.back(i); x.at >= from && x.at <= to {
			spread.add(seconds(x.at-begin), x.queue)
		}
	}
	rising, _, _ := spread.line()
	f.rise = rising * seconds(end-begin)
	return f
}

// quantile is the k-th smallest of a few values, k from 0. It sorts them.
func quantile(values []float64, k int) float64 {
	for i := 1; i < len(values); i++ {
		v, j := values[i], i
		for ; j > 0 && values[j-1] > v; j-- {
			values[j] = values[j-1]
		}
		values[j] = v
	}
	return values[min(k, len(values)-1)]
}
