package auto

import (
	"math"
	"time"
)

// follow brings history and model up to now.
func (c *Controller) follow() {
	old := c.history.newest()
	c.history.rate = c.paced
	if c.now <= old.at {
		return
	}
	if c.capacity > 0 && !c.policed {
		c.model = max(0, c.model+(c.sent-old.sent)/c.capacity-seconds(c.now-old.at))
	} else {
		c.model = 0
	}
	c.history.add(mark{at: c.now, sent: c.sent, queue: c.model})
}

// remodel works out again what queue stood since a time, at which none did; it was never longer than most s.
func (c *Controller) remodel(from int64, most float64) {
	h := &c.history
	k := h.n - 1
	for k > max(0, h.n-marks) && h.all[k%marks].at > from {
		k--
	}
	q := 0.0
	for k++; k < h.n; k++ {
		a, b := &h.all[(k-1)%marks], &h.all[k%marks]
		q = min(max(0, q+(b.sent-a.sent)/c.capacity-seconds(b.at-a.at)), most)
		b.queue = q
	}
	c.model = q
}

// sync puts the model right, once a round trip, and the capacity while a queue stands.
func (c *Controller) sync() {
	if c.capacity == 0 || c.policed {
		return
	}
	c.standing()
	var buf [64]float64
	values, oldest := c.recent(&buf)
	if len(values) < c.enough() || oldest <= c.synced {
		return
	}
	c.model = max(0, c.model+0.9*quantile(values, len(values)/2))
	c.synced = c.now
}

const (
	// fitEvery is how often a standing queue is fitted, over fitSpan of sending at most.
	fitEvery, fitSpan = int64(50 * time.Millisecond), int64(400 * time.Millisecond)
)

// standing fits a queue that stands.
func (c *Controller) standing() {
	if c.now-c.fitted < fitEvery || c.samples.n == 0 {
		return
	}
	c.fitted = c.now
	least := 0.002 + c.jit.rest + c.jit.mean
	newest, from := int64(0), int64(0)
	for i := range c.samples.len() {
		x := c.samples.back(i)
		if x.lost || x.blind {
			continue
		}
		if newest == 0 {
			newest = x.at
		}
		if x.at <= c.since || x.at <= c.starved || x.queue < least || newest-x.at > fitSpan {
			break
		}
		from = x.at
	}
	if newest-from < int64(80*time.Millisecond) || from == 0 {
		return
	}
	f := c.samples.fit(from, newest, c.floor())
	if f.n < 8 || f.err > 0.2 {
		return
	}
	capacity, err := f.capacity, f.err
	if f.lost >= fewest {
		share, shareErr := f.dropped(c.loss.own)
		if share > 2*shareErr {
			capacity *= 1 - share
			err = math.Hypot(err, shareErr)
			c.over.add(from, c.now)
		}
	}
	c.settle(capacity, max(2*err, 0.015)) // the next fit has most samples of this one again
}

// settle takes on a capacity that was measured with a relative standard error.
func (c *Controller) settle(capacity, err float64) {
	capacity = min(max(capacity, c.cfg.Min), c.cfg.Max*1.05)
	err = max(err, 0.005)
	spread := c.spread()
	off := math.Abs(capacity/c.capacity - 1)
	if c.capacity == 0 || off > 0.08 && off > 3*math.Sqrt(spread+err*err) {
		c.capacity, c.vary, c.varyAt = capacity, err*err, c.now
		return
	}
	k := spread / (spread + err*err)
	c.capacity += (capacity - c.capacity) * k
	c.vary, c.varyAt = spread*(1-k), c.now
}

// spread is the relative variance of the capacity now: paths change.
func (c *Controller) spread() float64 {
	return min(c.vary+0.0001*seconds(c.now-c.varyAt), 0.04)
}

// backlog is the queue now, by the newest answers.
func (c *Controller) backlog() float64 {
	var buf [8]float64
	n := 0
	for i := range c.samples.len() {
		x := c.samples.back(i)
		if n == len(buf) || c.now-x.at > int64((c.srtt+0.3)*1e9) {
			break
		}
		if x.lost || x.blind {
			continue
		}
		buf[n] = x.queue - c.jit.rest + (c.sent-x.sent)/c.capacity - seconds(c.now-x.at)
		n++
	}
	if n == 0 {
		return 0
	}
	return max(0, quantile(buf[:n], n/2))
}
