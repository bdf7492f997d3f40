package auto

import (
	"math"
	"time"
)

// train is some ticks of sending faster than between trains, with more beacons: what their delays say is the capacity, or that the path
// carries as much.
type train struct {
	rate     float64
	from, to int64   // when it was sent; from 0: none is under way
	begun    bool    // it is not in its lead any more
	over     bool    // it has been sent
	last     int64   // when the last one began
	next     int64   // when the next one may begin
	at       float64 // the rate of the next one, where it is not 0
	vain     int64   // how many in a row have told nothing
	clean    int     // how many in a row have met no limit

	out  int // beacons that left in it,
	back int // and were answered
	head int // answers to those that left at its begin,
	fell int // and of them those that took less time than any before
}

const (
	trainTicks, mostTicks = 4, 10
	// leadTicks are for a queue that hides to drain, before the first train.
	leadTicks = 3
	// gentle is how much faster a train is than the capacity, bold where that is not known.
	gentle, bold, boldest = 1.25, 2.0, 4.0
	// manyMembers are enough for two trains in a row.
	manyMembers = 90
	// far is the round trip in s from which on startup makes larger steps.
	far = 0.06
	// trainEvery is how long after a train the next one begins.
	trainEvery = int64(500 * time.Millisecond)
)

func (t *train) flying() bool { return t.from != 0 }

// holds tells whether a beacon sent at a time belongs to the train: one that leaves at its end has seen all of it.
func (t *train) holds(at int64) bool {
	return t.from != 0 && at >= t.from-tick/2 && at <= t.to+tick/2
}

// shadows tells whether what was sent at a time may have met a queue that a train has made, which is not judged yet.
func (t *train) shadows(at int64) bool { return t.from != 0 && at >= t.from-tick/2 }

func (t *train) hear(o *Outcome, renewed int64, jitter float64) {
	if !t.holds(o.Sent) || o.Lost {
		return
	}
	t.back++
	if o.Sent < t.from+tick/2 && o.Base > 0 && o.BaseAt >= renewed {
		t.head++
		if (o.Base - o.RTT).Seconds() > fallen+3*jitter {
			t.fell++
		}
	}
}

// startTrain tells whether a train is being sent, and begins one where its time has come.
func (c *Controller) startTrain() bool {
	t := &c.train
	if t.flying() {
		switch { // ticks do not come to the microsecond
		case !t.begun && c.now >= t.from-tick/2:
			t.begun, t.to, t.from = true, t.to-t.from+c.now, c.now
		case !t.over && c.now >= t.to-tick/2:
			t.over, t.to = true, c.now
		}
		return !t.over
	}
	if c.now < c.starved+starvedFor && c.starved != 0 {
		return false
	}
	if c.policed || c.now < t.next || c.now < c.dip || c.members < trusted || c.srtt == 0 || c.capped() {
		return false
	}
	ref, gain := c.rate, gentle
	if c.capacity > 0 {
		ref = c.capacity
	}
	if c.now < t.last+again && c.members < manyMembers {
		return false // too few have had their rest
	}
	if ref >= 0.999*c.cfg.Max || c.capacity > 0 && c.model > c.low() || c.idle() {
		return false
	}
	ticks, lead := int64(min(trainTicks*(1+c.jit.mean/0.003), mostTicks)), int64(0)
	switch {
	case c.capacity > 0 && t.clean == 0:
		gain += 1.5 * math.Sqrt(c.spread())
	case t.at > 0: // it may be far too much
		gain = min(max(t.at/ref, bold), 16)
	case c.srtt > far, t.clean > 2 && c.members < manyMembers:
		gain = boldest
	default:
		gain = bold
	}
	if c.capacity == 0 && (t.clean == 0 || c.members < manyMembers) {
		lead = leadTicks
	}
	*t = train{begun: lead == 0, rate: min(gain*ref, c.cfg.Max), from: c.now + lead*tick, to: c.now + (lead+ticks)*tick, last: c.now + lead*tick, next: t.next, clean: t.clean, vain: t.vain, at: t.at}
	return true
}

// idle tells whether too little was sent of late for a train to tell anything.
func (c *Controller) idle() bool {
	const short = 50 * int64(time.Millisecond)
	return c.now-c.begun > short && c.history.over(c.now-short, c.now) < 0.4*c.paced
}

// judgeTrain concludes from a train's answers, when they are in.
func (c *Controller) judgeTrain() {
	t := &c.train
	waited := seconds(c.now - t.to)
	quorum := 0.7 * (1 - c.loss.own) * float64(t.out) // answers that make a train that was not dropped
	if t.out < 12 {
		quorum = 0.85 * (1 - c.loss.own) * float64(t.out)
	}
	anyhow := (1 - c.loss.own) * float64(t.out)
	quorum = min(quorum, anyhow-2.5*math.Sqrt(c.loss.own*anyhow))
	late := waited > 1.5*c.srtt+0.04
	if waited < c.srtt+0.01 || float64(t.back) < max(quorum, trusted) && !late {
		return
	}
	to, steps := c.rising()
	f := c.samples.fit(t.from-tick/2, to, c.floor())
	from, end := t.from, t.to
	carried := c.history.over(from, end)
	doubtful := t.fell >= 1 && 2*t.fell >= t.head // a queue stood before the train that no base has shown
	seen := f.n >= trusted && steps >= 3 && !doubtful
	rising := seen && f.err < 0.12 && f.rise > max(0.002, 3*f.riseErr) && f.capacity < 0.97*carried
	steep := f.n >= trusted && steps == 2 && !doubtful && f.rise > max(0.006, 4*f.riseErr)
	flat := seen && f.rise+2*f.riseErr < 0.4*(t.rate/max(c.capacity, c.rate, 1)-1)*f.span && f.span > 0.7*seconds(t.to-t.from)
	whole := float64(t.back) >= quorum
	t.from = 0
	c.since = max(c.since, end+tick/2)
	t.next = c.now + trainEvery + int64(c.srtt*1e9)
	known := c.capacity > 0
	if seen && to < end-tick || steep || !whole { // the queue was full, or may have been
		c.over.add(from, end)
	}
	switch {
	case carried < 0.6*t.rate: // it could not be sent
		t.clean = 0
		if whole && seen && !known && f.rise < max(0.001, 2*f.riseErr) { // what was sent met no queue: the path carries it
			c.rate = max(c.rate, carried)
		}
	case doubtful && !known:
		c.over.add(max(c.loss.since, from-int64(3*time.Second)), c.now)
		c.try(c.rate, f.lossOf(c.loss.own), true)
	case rising && (whole || f.err < 0.05):
		t.clean, t.vain, t.at = 0, 0, 0
		c.settle(f.capacity, f.err+0.005)
		c.queued(from, end, known)
	case steep && (known || t.fell == 0): // the queue was full within a tick: the capacity is not more than this
		t.clean, t.vain, t.at = 0, 0, 0
		if bound, least := f.capacity, min(c.rate, f.capacity); !known {
			c.settle(math.Pow(bound, 0.6)*math.Pow(least, 0.4), max(0.1, 0.4*math.Log(bound/least)))
		} else if bound < c.capacity {
			c.settle(max(0.85*bound, 0.8*c.capacity), 0.15)
		}
		t.next = c.now
		c.queued(from, end, known)
	case !whole && t.out >= 8: // dropped, and no queue to be seen
		if !known && t.head >= 3 && t.fell == 0 {
			c.try(carried, 1-float64(t.back)/float64(t.out), false)
			break
		}
		c.try(c.rate, f.lossOf(c.loss.own), false)
	case !seen, !flat, !whole: // it tells nothing
		t.clean = 0
		t.vain++
		t.next = c.now + min(t.vain, 10)*5*tick
	default:
		t.clean++
		t.vain, t.at = 0, 0
		t.next = c.now
		c.history.clear(from)
		if known && t.clean < 3 {
			c.capacity, c.vary, c.varyAt = max(c.capacity, carried), vague*vague, c.now
			c.model = 0
			break
		}
		c.rate, c.capacity, c.phase, c.model = max(c.rate, carried), 0, Start, 0
		if carried > 0.97*t.rate {
			c.rate = max(c.rate, t.rate)
		}
	}
}

// queued takes note that a train has met a queue.
func (c *Controller) queued(from, end int64, known bool) {
	c.phase = Cruise
	most := 0.0
	for i := range c.samples.len() {
		if x := c.samples.back(i); x.at >= from && x.at <= end+tick/2 {
			most = max(most, x.queue)
		}
	}
	c.remodel(from, 1.1*most)
	if !known {
		c.loss.reset(end)
	}
}

// rising is until when the queue has grown in a train, as far as it was not full, and how many ticks that are.
func (c *Controller) rising() (to int64, steps int) {
	var sum, n [mostTicks + 2]float64
	t := &c.train
	for i := range c.samples.len() {
		x := c.samples.back(i)
		if x.lost || x.blind || !t.holds(x.at) {
			continue
		}
		k := (x.at - t.from + tick/2) / tick
		if k >= int64(len(n)) { // a tick that came late has made the train longer
			continue
		}
		sum[k] += x.queue
		n[k]++
	}
	most, last := 0.0, math.NaN()
	for k := range n {
		if n[k] == 0 {
			continue
		}
		q := sum[k] / n[k]
		if step := q - last; steps >= 2 && most > max(0.004, 3*c.jit.mean) && step < most/3 {
			break
		} else if steps > 0 {
			most = max(most, step)
		}
		last = q
		steps++
		to = t.from + int64(k)*tick + tick/2
	}
	return to, steps
}
