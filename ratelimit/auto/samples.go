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
	BaseAt int64         // when the newest probe to it was sent that took no longer
	Lost   bool          // no answer within the time-out
	Late   bool          // something was heard after all of what was told to be lost
	Proven bool          // this beacon has been answered before, so its silence says something

	Refused bool // somebody forbade it on its way: it tells nothing, and was not lost
}

// sample is what came of a beacon, in short.
type sample struct {
	at     int64   // when it left
	sent   float64 // packets that had been sent by then
	queue  float64 // s: how much longer than its base the round trip was
	excess float64 // s: how much of it the model did not know of
	lost   bool    // it was not answered, and has been before
	proven bool    // it has been answered before, so it would have counted as lost
	blind  bool    // it was answered, and its queue is not known
}

// kept samples are remembered.
const kept = 1024

// samples are the newest outcomes, as they came in.
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

// retract takes back that the beacon sent at a time was lost.
func (s *samples) retract(at int64) {
	for i := range s.len() {
		if x := s.back(i); x.at == at && x.lost {
			x.lost, x.blind = false, true
			return
		}
	}
}

// fit is a bottleneck seen through the answers to what was sent in a span: while a queue stands, what leaves it does so at the
// capacity, so the time at which answers leave the queue grows by 1/C for each packet sent that was not dropped.
type fit struct {
	n        int     // answers with a queue
	asked    float64 // outcomes of those that have been answered before,
	lost     float64 // and those of them that were lost
	span     float64 // s of sending
	capacity float64 // packets per second, as if nothing had been dropped
	err      float64 // standard error of the capacity, as a share of it
	rise     float64 // s: how much the queue grew over the span
	riseErr  float64 // s
	least    float64 // s: the smallest queue
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

// line is the slope with its standard error, where a value is never more exact than floor.
func (s *sums) line(floor float64) (slope, err float64) {
	sxx, sxy, syy := s.xx-s.x*s.x/s.n, s.xy-s.x*s.y/s.n, s.yy-s.y*s.y/s.n
	if s.n < 3 || sxx <= 0 {
		return 0, math.Inf(1)
	}
	slope = sxy / sxx
	dev := max(math.Sqrt(max(syy-slope*sxy, 0)/(s.n-2)), floor)
	return slope, dev / math.Sqrt(sxx)
}

// fit fits the samples that were sent within [from, to]. A sample is never more exact than floor s.
func (s *samples) fit(from, to int64, floor float64) (f fit) {
	var leaves, grows sums
	var origin float64
	begin, end := int64(math.MaxInt64), int64(math.MinInt64)
	f.least = math.Inf(1)
	for i := range s.len() {
		x := s.back(i)
		if x.at < from || x.at > to {
			continue
		}
		if x.proven {
			f.asked++
		}
		if x.lost {
			f.lost++
		}
		if x.lost || x.blind {
			continue
		}
		if leaves.n == 0 {
			origin = x.sent
		}
		leaves.add(x.sent-origin, seconds(x.at-from)+x.queue)
		grows.add(seconds(x.at-from), x.queue)
		begin, end = min(begin, x.at), max(end, x.at)
		f.least = min(f.least, x.queue)
	}
	f.n, f.err, f.riseErr = int(leaves.n), math.Inf(1), math.Inf(1)
	if f.n < 4 || end-begin < int64(5*time.Millisecond) {
		return f
	}
	f.span = seconds(end - begin)
	if slope, err := leaves.line(floor); slope > 0 {
		f.capacity, f.err = 1/slope, err/slope
	}
	slope, err := grows.line(floor)
	f.rise, f.riseErr = slope*f.span, err*f.span
	return f
}

// dropped is the share of what was sent in a span that was lost for our rate, and its standard error; own is what is lost anyhow.
func (f *fit) dropped(own float64) (share, err float64) {
	if f.asked == 0 {
		return 0, 1
	}
	p := (f.lost + own) / (f.asked + 1)
	return max(0, 1-(1-p)/(1-own)), math.Sqrt((p*(1-p) + 0.25/f.asked) / f.asked)
}

// says is how much likelier a loss of p makes the outcomes than one of q, in nats.
func (f *fit) says(p, q float64) float64 {
	return f.lost*math.Log(p/q) + (f.asked-f.lost)*math.Log((1-p)/(1-q))
}

// lossOf is the share of the outcomes that were lost, own where there are too few.
func (f *fit) lossOf(own float64) float64 {
	if f.asked < 5 {
		return own
	}
	return f.lost / f.asked
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
