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
	if f.lost > 0 || f.asked < 20 {
		c.over.add(from, c.now)
	}
	share, shareErr := f.dropped(c.loss.own)
	plain := f.n >= 6 && f.err < 0.05 && f.rise > max(0.002, 3*f.riseErr) && f.capacity < 0.97*carried
	if (c.capacity == 0 || c.policed) && !plain { // bases may have hidden any of it
		c.capacity, c.policed = 0, false
		c.try(carried, min(share, 0.8), true)
		return
	}
	capacity, err := f.capacity, f.err
	if f.lost >= fewest && share > 2*shareErr {
		capacity *= 1 - share
		err = math.Hypot(err, shareErr)
	}
	if f.n < 6 || err > 0.2 || newest-from < int64(15*time.Millisecond) {
		capacity, err = 0.85*carried, 0.15
	}
	if !plain && c.spread() > vague*vague { // a queue that is full grows no more
		capacity, err = 0.96*min(capacity, carried), max(err, 0.06)
	}
	if c.capacity == 0 || c.policed {
		c.capacity = 0
	} else {
		capacity = min(capacity, c.capacity)
	}
	c.policed, c.phase = false, Cruise
	c.settle(capacity, err)
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
