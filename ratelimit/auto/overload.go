package auto

import (
	"time"
)

// overload concludes from a queue that the model did not know of.
func (c *Controller) overload() {
	from := c.now
	var lost bool
	reach := int64((0.06 + c.srtt/2) * 1e9)
	newest := c.samples.back(0).at
	low := c.low()
	n := 0
	for i := range c.samples.len() {
		x := c.samples.back(i)
		if x.queue < low/2 || newest-x.at > reach && n >= 6 || newest-x.at > int64(time.Second/2) {
			break
		}
		from = x.at
		n++
	}
	lost = c.loss.run.lost > 0 || n < 20
	f := c.samples.fit(from, newest, 0.0003+c.jit.mean/2)
	carried := c.history.over(from, newest)
	old := c.capacity
	switch {
	case f.n >= 6 && f.err < 0.15 && newest-from >= int64(15*time.Millisecond):
		p := min(c.loss.run.share(c.loss.own), 0.9)
		cap := f.capacity
		if c.loss.run.lost >= fewest {
			cap *= min(1, (1-p)/(1-c.loss.own))
		}
		if old > 0 && cap > old {
			cap = old
		}
		c.settle(cap, f.err)
	default:
		c.settle(0.85*min(carried, or(old, carried)), 1)
	}
	c.policed, c.phase = false, Cruise
	c.model = c.backlog()
	if lost {
		c.over.add(from, c.now)
	}
	c.conclude()
	c.train.next = c.now + int64(c.srtt*1e9)
}

func or(a, b float64) float64 {
	if a > 0 {
		return a
	}
	return b
}

// conclude closes all that is open: what was sent until now has been judged.
func (c *Controller) conclude() {
	c.since, c.synced = c.now, c.now
	c.loss.reset(c.now)
	c.train.from, c.train.clean = 0, 0
}

// trial is a look whether losses are ours: slower for a moment, do they go on?
type trial struct {
	rate   float64
	begun  int64
	before float64 // share lost
	was    float64 // the rate until then,
	ours   float64 // and the capacity if they are
	asked  tally
	fell   int // bases
}

const (
	trialOutcomes = 20
	trialFewest   = 10
)

func (t *trial) hear(o *Outcome) {
	if t.begun == 0 || o.Sent <= t.begun {
		return
	}
	if o.Late {
		t.asked.lost = max(0, t.asked.lost-1)
		return
	}
	t.asked.add(o.Lost)
}

// lossy begins a trial, for more is lost and no queue is seen.
func (c *Controller) lossy() {
	p := c.loss.run.share(c.loss.own)
	carried := c.history.over(max(c.loss.since, c.now-int64(time.Second)), c.now)
	if c.capacity > 0 && c.policed && p-c.loss.own < 0.5 { // known to be ours
		c.over.add(c.loss.since, c.now)
		c.settle(carried*(1-p)/(1-c.loss.own), 0.1)
		c.conclude()
		return
	}
	ours := carried * (1 - p) / (1 - c.loss.own)
	if c.capacity > 0 {
		ours = min(ours, c.capacity)
	}
	c.trial = trial{rate: ours / 2, begun: c.now, before: p, was: c.rate, ours: ours}
	c.over.add(max(c.loss.since, c.now-int64(3*time.Second)), c.now)
	c.phase = Test
	c.conclude()
}

// judgeTrial concludes from a trial.
func (c *Controller) judgeTrial() {
	t := &c.trial
	waited := seconds(c.now - t.begun)
	found := t.fell >= 3 && t.fell*4 >= int(t.asked.asked)
	if !found && t.asked.asked < trialOutcomes && !(waited > 1+2*c.srtt && t.asked.asked >= trialFewest) && waited < 3 {
		return
	}
	if found && waited < 1.5*c.srtt+0.05 {
		return
	}
	during := t.asked.share(c.loss.own)
	c.model = 0
	switch {
	case found:
		c.policed = false
		c.phase = Cruise
		c.capacity = 0
		c.settle(t.ours, 1)
	case during > 0.6*t.before || t.asked.asked < trialFewest:
		both := tally{t.asked.asked + 1, t.asked.lost + t.before}
		c.loss.own = max(c.loss.own, both.lost/both.asked)
		c.rate = t.was
		c.phase = Start
		if c.capacity > 0 {
			c.phase = Cruise
		}
	default:
		c.phase = Cruise
		c.policed = true
		c.capacity = 0
		c.settle(t.ours, 1)
	}
	t.begun = 0
	c.conclude()
	c.train.next = c.now
}

// overloads are the spans of sending that met an overloaded path.
type overloads struct {
	all [64][2]int64
	n   int
}

func (o *overloads) add(from, to int64) {
	if o.n > 0 {
		if last := &o.all[(o.n-1)%len(o.all)]; from <= last[1] {
			last[0], last[1] = min(last[0], from), max(last[1], to)
			return
		}
	}
	o.all[o.n%len(o.all)] = [2]int64{from, to}
	o.n++
}

// Overloaded tells whether any of what was sent within [from, to] met an overloaded path, so that its silence says little. Ask it a
// round trip later.
func (c *Controller) Overloaded(from, to int64) bool {
	for i := range min(c.over.n, len(c.over.all)) {
		if s := &c.over.all[i]; s[0] <= to && from <= s[1] {
			return true
		}
	}
	return false
}
