package auto

import (
	"math"
	"time"
)

// train is some ticks of sending faster than between trains, with more beacons: what their delays say is the capacity, or that the path
// carries as much.
type train struct {
	rate     float64
	from, to int64 // when it was sent; from 0: none is under way
	until    int64 // beacons sent up to then belong to it
	asked    tally // what came of its beacons
	next     int64 // when the next one may begin
	clean    int   // how many in a row have met no limit
	judged   int64
}

const (
	trainTicks = 4
	// policeTicks is how long a train is where only losses tell.
	policeTicks = 25
	// gentle is how much faster a train is than the capacity, bold where that is not known.
	gentle, bold, boldest = 1.25, 2.0, 4.0
	policeGain            = 1.1
	// far is the round trip in s from which on startup makes larger steps.
	far = 0.06
	// trainEvery is how long after a train the next one begins.
	trainEvery = int64(500 * time.Millisecond)
)

func (t *train) hear(o *Outcome) {
	if t.from == 0 || o.Sent < t.from || o.Sent > t.until {
		return
	}
	if o.Late {
		t.asked.lost = max(0, t.asked.lost-1)
		return
	}
	t.asked.add(o.Lost)
}

func (t *train) flying() bool { return t.from != 0 }

// sent tells whether a train is under way and has been sent.
func (t *train) sent(c *Controller) bool { return t.from != 0 && c.now >= t.to }

// startTrain tells whether a train is being sent, and begins one where its time has come.
func (c *Controller) startTrain() bool {
	t := &c.train
	if t.flying() {
		return c.now < t.to
	}
	if c.phase == Test || c.now < t.next || c.now < c.dip || c.rate >= c.cfg.Max || c.members < trusted || c.first == 0 {
		return false
	}
	if c.capacity > 0 && (c.model > c.low() || c.capacity >= c.cfg.Max) {
		return false
	}
	if c.capped() {
		return false
	}
	gain := gentle
	ticks := int64(trainTicks)
	switch {
	case c.capacity > 0 && c.policed && t.clean == 0:
		gain, ticks = policeGain, policeTicks
	case c.capacity > 0 && t.clean == 0:
		if c.vague {
			gain = 1.4
		}
	case c.srtt > far:
		gain = boldest
	default:
		gain = bold
	}
	ref := c.rate
	if c.capacity > 0 {
		ref = c.capacity
	}
	*t = train{rate: min(gain*ref, c.cfg.Max), from: c.now, to: c.now + ticks*tick, until: c.now + ticks*tick + tick/2, next: t.next, clean: t.clean, judged: t.judged}
	return true
}

// judgeTrain concludes from a train's answers, when they are in.
func (c *Controller) judgeTrain() {
	t := &c.train
	waited := seconds(c.now - t.to)
	if waited < c.srtt+0.01 {
		return
	}
	if c.policed && t.asked.asked+1 < 3*policeTicks/4 && waited < 2*c.srtt+0.06 {
		return
	}
	to, steps := c.rising()
	f := c.samples.fit(t.from-tick/2, to, 0.0003+c.jit.mean/2)
	late := waited > 1.5*c.srtt+0.05
	if (f.n < trusted || steps < 3) && !late {
		return
	}
	from, end := t.from, t.to
	t.judged = end
	t.from = 0
	c.since = max(c.since, t.until)
	carried := c.history.over(from, end)
	lost := t.asked.share(c.loss.own)
	known := c.capacity > 0
	enough := f.n >= trusted && steps >= 3
	rising := enough && f.rise > max(0.0015+1.5*c.jit.mean, 3*f.noise/math.Sqrt(float64(f.n))) && f.capacity < carried*0.97
	losing := t.asked.lost >= fewest && lost > c.loss.own+0.08
	t.next = c.now + trainEvery + int64(c.srtt*1e9)
	switch {
	case rising:
		t.clean = 0
		c.policed = false
		c.settle(f.capacity, f.err)
		c.phase = Cruise
		c.model = max(c.model, c.backlog())
	case losing:
		t.clean = 0
		c.over.add(from, c.now)
		if cap := carried * (1 - lost) / (1 - c.loss.own); !known || c.policed {
			c.settle(max(cap, min(c.rate, c.capacity)*0.9), 0.1)
			c.policed = true
			c.phase = Cruise
		}
	case !enough:
		t.next = c.now + 2*tick
	case c.policed && t.asked.asked < 15:
		t.next = c.now + 10*tick
	case carried > 0.8*t.rate:
		t.clean++
		t.next = c.now
		switch {
		case known && t.clean < 3:
			c.capacity = max(c.capacity, carried)
			c.model = 0
		default:
			c.rate, c.capacity, c.phase, c.policed, c.model = max(c.rate, carried), 0, Start, false, 0
		}
	}
	c.loss.reset(max(c.loss.since, end))
}

// rising is until when the queue has grown in a train, as far as it was not full, and how many ticks that are.
func (c *Controller) rising() (to int64, steps int) {
	var sum, n [policeTicks + 2]float64
	t := &c.train
	for i := range c.samples.len() {
		x := c.samples.back(i)
		if k := (x.at - t.from + tick/2) / tick; x.at >= t.from-tick/2 && x.at <= t.until && k >= 0 && int(k) < len(n) {
			sum[k] += x.queue
			n[k]++
		}
	}
	most, last := 0.0, math.NaN()
	to = t.until
	for k := range n {
		if n[k] == 0 {
			continue
		}
		q := sum[k] / n[k]
		if step := q - last; steps >= 2 && most > 0.004 && step < most/3 {
			break
		} else if steps > 0 {
			most = max(most, step)
		}
		last = q
		steps++
		to = t.from + int64(k)*tick + tick/2
	}
	return min(to, t.until), steps
}

// backlog is the queue now, by the newest answers.
func (c *Controller) backlog() float64 {
	var buf [8]float64
	n := 0
	for i := range min(c.samples.len(), 6) {
		x := c.samples.back(i)
		if c.now-x.at > int64((c.srtt+0.3)*1e9) {
			break
		}
		buf[n] = x.queue + (c.sent-x.sent)/c.capacity - seconds(c.now-x.at)
		n++
	}
	if n == 0 {
		return 0
	}
	return max(0, quantile(buf[:n], n/2))
}

// settle takes on a capacity that was measured with a relative standard error.
func (c *Controller) settle(capacity, err float64) {
	capacity = min(max(capacity, c.cfg.Min), c.cfg.Max*1.05)
	switch {
	case c.capacity > 0 && !c.vague && math.Abs(capacity/c.capacity-1) < 0.1:
		c.capacity += (capacity - c.capacity) * 0.4
	default:
		c.capacity = capacity
	}
	c.vague = err > 0.06
}
