package backoff

import (
	"math"
	"net/netip"
	"time"
)

const (
	// A window has so many answers, or lasts so long and has one.
	windowAnswers, windowTime = 16, int64(5 * time.Second)
	// surely is how many nats must speak for a surge: by chance the sum comes so far once in 10^13 times that it leaves zero.
	surely = 30.0
	// enoughAnswers tell what the mixture is.
	enoughAnswers = 64.0
	// mostly is the share of refusals in a surge at least. Of the other answers as many as fewer of those expected are left at most,
	// which must be unlikely by so many nats: where errors are limited, their share grows by itself when the rate falls.
	mostly, fewer, vanishing = 0.8, 0.25, 8.0
	// leastBase is how many good answers there must have been.
	leastBase = 8
	// quietSent probes that nobody has answered are a prefix that says nothing, quietTime later: answers may be on their way.
	quietSent, quietTime = 256.0, int64(3 * time.Second)
	// leastRefused refusals, of half of what it was sent, are a surge there.
	leastRefused = 16.0
	// leastExtra RSTs beyond one for each probe are a storm, and one for each oftenExtra are ordinary.
	leastExtra, oftenExtra = 64.0, 10.0
	// leastTurned beacons must have turned from SYN-ACK to RST.
	leastTurned = 3.0
)

// track is what is known of a prefix.
type track struct {
	prefix    netip.Prefix
	entry     *entry
	share     float64
	powerless bool

	born      int64               // when it was first looked at
	sent      [maxLag + 1]float64 // by the last looks: a ring
	looks     int
	drifts    [len(pairs)]drift
	base      sample // all before last, but for surges
	last, cur window // of what is no pair
	quiet     int64  // since when it has been sent a lot, and had said nothing; 0: it was not so
	slow      *slow  // nil: as fast as others
	before    *slow  // how it last was, until released
	released  int64
	done      bool // it is not slowed any more
}

// window is what has been counted from a time on.
type window struct {
	begin int64
	start sample // what had been counted then
}

// sample are counts, or differences of them.
type sample struct {
	sent  float64
	kinds [numKinds]float64
}

func (s *sample) minus(o *sample) (d sample) {
	d.sent = s.sent - o.sent
	for k := range d.kinds {
		d.kinds[k] = s.kinds[k] - o.kinds[k]
	}
	return d
}

func (s *sample) add(o *sample) {
	s.sent += o.sent
	for k := range s.kinds {
		s.kinds[k] += o.kinds[k]
	}
}

// answers are those that tell of a window's length.
func (s *sample) answers() (n float64) {
	for _, x := range s.kinds[:TurnedNew] {
		n += x
	}
	return n
}

// pair are refusals, and the answers whose place they may take.
type pair struct {
	reason  Reason
	refusal Kind
	others  []Kind
	beacons bool
}

var pairs = [...]pair{
	{Prohibitions, Prohibited, []Kind{Open, Reset}, false},
	{Resets, Reset, []Kind{Open}, false},
	{Resets, Turned, []Kind{Kept}, true},
}

func (p *pair) bad(s *sample) float64 { return s.kinds[p.refusal] }

func (p *pair) good(s *sample) (n float64) {
	for _, k := range p.others {
		n += s.kinds[k]
	}
	return n
}

// maxLag is how many looks are remembered: answers that take longer are waited for no longer.
const maxLag = 10

// due is how many probes had been sent so many looks ago.
func (t *track) due(sent float64, lag int) float64 {
	t.looks++
	t.sent[t.looks%len(t.sent)] = sent
	return t.sent[max(t.looks-min(lag, maxLag), 0)%len(t.sent)]
}

// look takes in what has been counted up to now. Answers take lag looks, most of them.
func (t *track) look(now int64, evenly float64, lag int) (Change, bool) {
	seen := sample{sent: float64(t.entry.sent.Load()) + evenly*t.share}
	for k := range seen.kinds {
		seen.kinds[k] = float64(t.entry.kinds[k].Load())
	}
	due := t.due(seen.sent, lag)
	if t.cur.begin == 0 || seen.answers() == 0 {
		t.last, t.cur = window{now, seen}, window{now, seen}
		if t.born == 0 {
			t.born = now
		}
	}
	if t.slow != nil {
		return t.again(&seen, now)
	}
	if t.done {
		return Change{}, false
	}
	if found := t.surge(&seen, due, now); found != nil {
		return t.begin(found, now), true
	}
	if t.quiet == 0 && seen.sent >= quietSent && seen.answers() == 0 {
		t.quiet = now
	}
	if w := seen.minus(&t.cur.start); w.answers() >= windowAnswers || w.answers() > 0 && now-t.cur.begin >= windowTime {
		past := t.cur.start.minus(&t.last.start)
		t.base.add(&past)
		t.last, t.cur = t.cur, window{now, seen}
	}
	return Change{}, false
}

// surge tells whether the prefix has begun to refuse what it is sent; nil: not, or it gets too little to be slowed.
func (t *track) surge(seen *sample, due float64, now int64) (found *slow) {
	full := t.rate()
	if full < 2*minRate && t.looks > 1 { // at the first look no rate is known
		return nil
	}
	for i := range pairs { // all of them look
		if s := t.drifts[i].look(&pairs[i], seen, due, now); found == nil {
			found = s
		}
	}
	if found == nil {
		lately := seen.minus(&t.last.start)
		found = t.alone(&lately)
	}
	if found != nil {
		found.full = full
	}
	return found
}

// alone judges by what has been counted since last began what cannot be compared with other answers; nil: it is none.
func (t *track) alone(w *sample) *slow {
	refused := w.kinds[Prohibited]
	if t.quiet != 0 && t.last.begin-t.quiet >= quietTime && t.base.answers() == 0 && refused >= leastRefused && refused >= w.sent/2 {
		return &slow{reason: Prohibitions, begun: t.last.begin}
	}
	if x := w.kinds[Extra]; x >= leastExtra && x >= w.sent && t.last.begin-t.born >= quietTime && t.base.kinds[Extra]*oftenExtra <= t.base.sent {
		return &slow{reason: Storm, begun: t.last.begin}
	}
	return nil
}

// rate is how many probes a second it has got by the last looks, at most maxLag of them.
func (t *track) rate() float64 {
	n := min(t.looks-1, maxLag)
	if n < 1 {
		return 0
	}
	return (t.sent[t.looks%len(t.sent)] - t.sent[(t.looks-n)%len(t.sent)]) / (time.Duration(n) * Tick).Seconds()
}

// share of refusals, by Laplace's rule: never 0 nor 1.
func (p *pair) share(s *sample) float64 { return (p.bad(s) + 1) / (p.bad(s) + p.good(s) + 2) }

// vanished tells whether there are too few of what as many were expected of, even if half of all were lost on the way.
func vanished(n, expected float64) bool {
	if n > fewer*expected {
		return false
	}
	left := expected / 2
	nats := left - n
	if n > 0 {
		nats += n * math.Log(n/left)
	}
	return nats >= vanishing
}
