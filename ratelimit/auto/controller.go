package auto

import (
	"math"
	"time"
)

// Controller finds the rate. Its methods are for one goroutine at a time.
type Controller struct {
	cfg     Config
	now     int64
	begun   int64
	history history
	samples samples
	sent    float64 // packets so far

	members int   // beacons there are
	first   int64 // when the first outcome came; 0: none has
	base    float64
	srtt    float64 // s, of beacons
	jit     jitter

	phase    Phase
	rate     float64 // that holds between trains
	capacity float64 // packets per second; 0: not known
	vary     float64 // the relative variance of that
	varyAt   int64   // and when
	policed  bool    // by losses alone
	model    float64 // s: the queue, as it should be now
	synced   int64   // the model was last put right then
	blind    float64 // share of the answers of late whose queue is not known
	renewed  int64   // bases from before then may have hidden a queue
	since    int64   // samples sent before then have been judged
	fitted   int64   // a standing queue was last fitted then
	paced    float64 // of the last decision

	loss    loss
	police  police
	train   train
	trial   trial
	starved int64 // when there was last nothing to send
	dipped  int64 // when the queue was last let drain
	dip     int64 // until when it is

	over  overloads
	caps  caps
	quota float64 // beacons due
}

const (
	tick = int64(10 * time.Millisecond)

	// share of the capacity that is used; less where it is known badly, down to vagueShare.
	share, vagueShare = 0.985, 0.93
	// vague is the standard error of a capacity that is known badly.
	vague = 0.06
	// leastShare is used while a queue drains.
	leastShare = 0.5
	// drain is how fast a queue is drained: in such a time, in s.
	drain = 0.25
	// trusted is how many samples in a row must show a queue.
	trusted = 4
	// dipEvery is how often all bases are renewed, dipFor how long that takes.
	dipEvery, dipFor = int64(10 * time.Second), int64(50 * time.Millisecond)
	// blindEvery is the same where most answers tell nothing, for a queue may be in their bases.
	blindEvery = int64(2 * time.Second)
	// dipShare of the capacity is used meanwhile.
	dipShare = 0.4
	// gentleFor is how long half of Start is sent at, where the first train does not come sooner: a path that carries so much shows its
	// bases first.
	gentleFor = int64(500 * time.Millisecond)
	// exact is what a single delay is worth at best, in s: the engine sends in bursts.
	exact = 0.0003
	// fallen is by how much, in s, a beacon's round trip must be shorter than any before for its base to have fallen.
	fallen = 0.002
	// hidden is the queue, in s, that a base may have in it.
	hidden = 0.001
	// shaky is the jitter, in s, from which on bases are as good as they are: few round trips come near the shortest.
	shaky = 0.001
	// jumpy is that from which on a queue that is short by it shows by losses only.
	jumpy = 0.004
)

// New starts at a time.
func New(c Config, now int64) *Controller {
	a := &Controller{cfg: c, now: now, begun: now, rate: max(c.Start/2, c.Min), paced: c.Start, since: now, dipped: now}
	a.history.rate = c.Start
	a.history.add(mark{at: now})
	a.loss.reset(now)
	a.loss.own = priorLoss
	a.caps.reset()
	a.train.next = now
	return a
}

// Sent says that so many packets have left since the last call, beacons included.
func (c *Controller) Sent(_ int64, n int) { c.sent += float64(n) }

// Starved says that there is nothing to send but beacons: what they find is no effect of the rate. A train that was cut short by it is
// void.
func (c *Controller) Starved(now int64) {
	c.starved = now
	if t := &c.train; t.flying() && !t.over {
		t.from, t.clean, t.next = 0, 0, now+starvedFor
		c.since = max(c.since, now)
	}
	if c.phase == Test && c.capacity > 0 {
		c.phase = Cruise
		c.conclude()
	}
}

// starvedFor is how long sending has to go on for what it meets to be told from what it met before.
const starvedFor = int64(50 * time.Millisecond)

// Members says how many beacons there are to ask, and how long answers take of late, 0 where it is not known.
func (c *Controller) Members(n int, trip time.Duration) {
	c.members = n
	if c.first == 0 {
		c.srtt = trip.Seconds()
	}
}

// Asked says that so many beacons leave now.
func (c *Controller) Asked(now int64, n int) {
	if t := &c.train; t.holds(now) {
		t.out += n
	}
}

// Beacon says what came of a beacon.
func (c *Controller) Beacon(o Outcome) {
	if c.first == 0 {
		c.first = c.now
	}
	if o.Refused {
		c.refused(&o)
		return
	}
	c.train.hear(&o, c.renewed, c.jit.mean)
	c.trial.hear(&o, c.jit.mean)
	if o.Proven {
		if !c.train.holds(o.Sent) {
			c.loss.hear(o.Sent, o.Lost, o.Late)
		}
	}
	if o.Late {
		c.samples.retract(o.Sent)
	}
	m := c.history.at(o.Sent)
	x := sample{at: o.Sent, sent: m.sent, proven: o.Proven}
	if o.Lost {
		if x.lost = true; o.Proven {
			c.samples.add(x)
		}
		return
	}
	trip, base := o.RTT.Seconds(), o.Base.Seconds()
	c.srtt += (trip - c.srtt) * gain(c.srtt, 1./16)
	if base > 0 {
		c.jit.hear(o.Sent, trip-base)
	}
	hides := o.BaseAt < c.renewed || c.history.queueAt(o.BaseAt) > hidden // a queue may have been in it
	if base == 0 || hides && c.jit.mean < shaky {
		c.blind += (1 - c.blind) / 16
		if x.blind = true; o.Proven && !o.Late {
			c.samples.add(x)
		}
		return
	}
	c.blind -= c.blind / 16
	c.base += (min(base, trip) - c.base) * gain(c.base, 1./32)
	x.queue = max(0, trip-base)
	x.excess = x.queue - m.queue
	c.jit.settle(x.queue)
	if !o.Late {
		c.samples.add(x)
	}
}

// refused takes a beacon for one that was not sent.
func (c *Controller) refused(o *Outcome) {
	if c.train.holds(o.Sent) {
		c.train.out--
	}
	if !o.Late {
		return
	}
	if c.samples.retract(o.Sent); o.Proven && !c.train.holds(o.Sent) {
		c.loss.hear(o.Sent, false, true)
	}
}

// gain is that of an average, which its first value begins.
func gain(old, usual float64) float64 {
	if old == 0 {
		return 1
	}
	return usual
}

// high is from which on an excess of delay is a queue, low until where there is none.
func (c *Controller) high() float64 { return 0.004 + 0.02*c.base + 3*c.jit.mean }
func (c *Controller) low() float64  { return 0.0015 + 0.01*c.base + 1.5*c.jit.mean }

// floor is how exact a single delay is at best.
func (c *Controller) floor() float64 { return exact + c.jit.mean/2 }

// Tick decides. Call it every 10 ms.
func (c *Controller) Tick(now int64) Decision {
	c.now = now
	c.follow()
	c.caps.look(c)
	c.look()
	return c.decide()
}

// look draws conclusions from what came in.
func (c *Controller) look() {
	switch {
	case c.phase == Test:
		c.judgeTrial()
		return
	case c.queueing():
		c.overload()
		return
	case c.loss.alarm() && c.policed:
		c.judgePolice(true)
		return
	case c.loss.alarm():
		c.lossy()
		return
	case c.train.flying():
		if c.train.over {
			c.judgeTrain()
		}
		return
	case c.loss.own > doubtful && c.now-c.trial.slower > doubtEvery && c.now-c.starved > starvedFor:
		c.try(c.rate, c.loss.own, false)
		c.trial.doubt = true
		return
	}
	c.sync()
	c.loss.learn(c)
	if c.policed {
		c.judgePolice(false)
	}
}

// answered is until when what was sent has been answered, or is lost.
func (c *Controller) answered() int64 { return c.now - int64((1.5*c.srtt+0.03)*1e9) }

// recent are the excesses of the answers to what was sent in the newest span of sending: at least so many as are enough, where so many were sent
// since the last conclusion.
func (c *Controller) recent(buf *[64]float64) (values []float64, oldest int64) {
	window := max(int64(15*time.Millisecond), int64(c.srtt/3*1e9))
	values = buf[:0]
	newest := int64(0)
	for i := range c.samples.len() {
		x := c.samples.back(i)
		if x.lost || x.blind || c.train.shadows(x.at) {
			continue
		}
		if x.at <= c.since || len(values) == len(buf) {
			break
		}
		if newest == 0 {
			newest = x.at
		}
		if newest-x.at > window && (len(values) >= c.enough() || newest-x.at > int64(time.Second/2)) {
			break
		}
		oldest = x.at
		values = append(values, x.excess-c.jit.rest)
	}
	return values, oldest
}

// enough samples show a queue.
func (c *Controller) enough() int {
	if c.jit.mean > shaky {
		return 10
	}
	return trusted
}

// queueing tells whether more of a queue stands than the model knows.
func (c *Controller) queueing() bool {
	var buf [64]float64
	values, _ := c.recent(&buf)
	high := c.high()
	if c.policed && c.jit.mean > shaky { // its losses say more
		high *= 2
	}
	return len(values) >= c.enough() && quantile(values, len(values)/10) > high
}

// decide makes the decision of what is known.
func (c *Controller) decide() Decision {
	d := Decision{Phase: c.phase, Capacity: c.capacity, Loss: c.loss.own, Limit: Evidence}
	rate := c.pace()
	if c.capacity > 0 {
		c.rate = rate
	}
	if c.members == 0 && c.first == 0 {
		d.Limit = Blind
	}
	switch {
	case c.phase == Test:
		rate = c.trial.rate
	case c.startTrain():
		if rate = c.train.rate; !c.train.begun {
			rate *= 0.02
		}
	}
	switch {
	case c.capacity > 0 && c.policed:
		d.Limit = Policed
	case c.capacity > 0:
		d.Limit = Queue
	}
	if limit, most := c.caps.most(); rate > most {
		rate, d.Limit = most, limit
	} else if c.capacity == 0 && c.capped() {
		d.Limit = limit
	}
	if rate >= c.cfg.Max {
		rate, d.Limit = c.cfg.Max, Maximum
	}
	rate = max(rate, c.cfg.Min)
	c.paced = rate
	d.Rate, d.Beacons, d.Focus, d.Spread = rate, c.beacons(rate), c.focus(rate), c.spreads()
	return d
}

// spreads tells whether beacons ride between probes: all but those at a train's ends, which are to see what stands there.
func (c *Controller) spreads() bool {
	t := &c.train
	return !t.flying() || t.begun && c.now > t.from && c.now < t.to-tick/2
}

// pace is the rate between trains.
func (c *Controller) pace() float64 {
	if c.capacity == 0 {
		if c.train.last == 0 && c.now-c.begun > gentleFor {
			c.rate = max(c.rate, c.cfg.Start)
		}
		if c.now < c.dip {
			return c.rate / 2
		}
		return c.rate
	}
	if c.now < c.dip {
		return c.capacity * dipShare
	}
	if c.policed {
		return c.capacity * c.police.factor()
	}
	if after := c.now - c.dipped; !c.train.flying() && (after > dipEvery || after > blindEvery && c.blind > 0.6) {
		c.dipped, c.dip = c.now, c.now+dipFor+int64(c.model/(1-dipShare)*1e9)
	}
	part := max(vagueShare, share-max(0, math.Sqrt(c.spread())-0.02))
	part -= max(0, c.model-0.0005) / drain
	return c.capacity * math.Max(part, leastShare)
}
