package auto

import (
	"math"
	"time"
)

// overload concludes from a queue that the model did not know of.
func (c *Controller) overload() {
	reach := int64((0.06 + c.srtt/2) * 1e9)
	low := c.low() / 2
	newest, from, n := int64(0), c.now, 0
	for i := range c.samples.len() {
		x := c.samples.back(i)
		if x.lost || x.blind {
			continue
		}
		if newest == 0 {
			newest = x.at
		}
		if x.queue-c.jit.rest < low || newest-x.at > reach && n >= 6 || newest-x.at > int64(time.Second/2) {
			break
		}
		from = x.at
		n++
	}
	f := c.samples.fit(from, newest, c.floor())
	carried := c.history.over(from, newest)
	if debug {
		println("overload", c.now/1e6, "C was", int(c.capacity), "fit", int(f.capacity), "err", int(f.err*1000), "n", f.n, "lost", int(f.lost), "carried", int(carried), "model us", int(c.model*1e6))
	}
	if f.lost > 0 || f.asked < 20 {
		c.over.add(from, c.now)
	}
	capacity, err := f.capacity, f.err
	if share, shareErr := f.dropped(c.loss.own); f.lost >= fewest && share > 2*shareErr {
		capacity *= 1 - share
		err = math.Hypot(err, shareErr)
	}
	if f.n < 6 || err > 0.2 || newest-from < int64(15*time.Millisecond) {
		capacity, err = 0.85*carried, 0.15
	}
	if c.capacity > 0 && !c.policed {
		capacity = min(capacity, c.capacity)
	}
	if c.policed {
		c.capacity = 0
	}
	c.settle(capacity, err)
	c.policed, c.phase = false, Cruise
	c.model = c.backlog()
	c.conclude()
	c.train.next = c.now + int64(c.srtt*1e9)
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

const trialOutcomes, trialFewest = 20, 10

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

// lossy concludes from losses: where a queue stands they are its, and else a trial begins.
func (c *Controller) lossy() {
	from := max(c.loss.since, c.now-int64(time.Second)-int64(1.5*c.srtt*1e9))
	f := c.samples.fit(from, c.now, c.floor())
	p := (f.lost + c.loss.own) / (f.asked + 1)
	run := c.loss.run
	carried := c.history.over(from, c.now)
	if debug {
		println("lossy", c.now/1e6, "C", int(c.capacity), "lost", int(run.lost), "of", int(run.asked), "carried", int(carried), "model us", int(c.model*1e6), "policed", c.policed)
	}
	c.over.add(from, c.now)
	left := (1 - p) / (1 - c.loss.own)
	switch {
	case c.capacity > 0 && (c.model > c.low() || c.backlog() > c.low()):
		c.settle(min(carried*left, c.capacity*(1-0.5*p)), 0.05)
		c.model = max(c.model, c.backlog())
		c.conclude()
		return
	}
	ours := carried * left
	if c.capacity > 0 {
		ours = min(ours, c.capacity)
	}
	c.trial = trial{rate: max(ours/2, c.cfg.Min), begun: c.now, before: p, was: c.rate, ours: ours}
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
	if debug {
		println("trial", c.now/1e6, "before", int(t.before*1000), "during", int(during*1000), "asked", int(t.asked.asked), "fell", t.fell, "ours", int(t.ours))
	}
	switch {
	case found:
		c.policed, c.phase, c.capacity = false, Cruise, 0
		c.settle(t.ours, 0.15)
		c.renewed = t.begun
	case during > 0.6*t.before || t.asked.asked < trialFewest:
		c.loss.take(t.asked, t.before)
		c.rate = t.was
		if c.phase = Start; c.capacity > 0 {
			c.phase = Cruise
		}
	default:
		c.police.begin(c, t.ours)
	}
	t.begun = 0
	c.model = 0
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
