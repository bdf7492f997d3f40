package auto

import (
	"math"
	"time"
)

// Config is what a controller starts with, in packets per second: 0 < Min ≤ Start ≤ Max. Start is what it goes at without any evidence.
type Config struct{ Start, Min, Max float64 }

// Decision is what holds until the next tick.
type Decision struct {
	Rate     float64 // packets per second, beacons included
	Beacons  float64 // how many of them a second are to be beacons
	Phase    Phase
	Limit    Limit
	Capacity float64 // what the path is believed to carry, in packets per second; 0: more than was tried, or not known
	Loss     float64 // share of beacons that is lost whatever the rate is
}

// Phase is what the controller is at.
type Phase uint8

// The phases.
const (
	Start  Phase = iota // the path has carried whatever was tried
	Cruise              // the capacity is known
	Test                // slower for a moment: is what is lost lost for our rate?
)

func (p Phase) String() string { return [...]string{"start", "cruise", "test"}[p] }

// Limit is why the rate is not higher.
type Limit uint8

// The limits.
const (
	Blind     Limit = iota // nothing has answered, so nothing is known
	Evidence               // it rises as fast as answers show that it may
	Maximum                // it is as high as it was allowed to be
	Queue                  // the path's capacity, as a queue before it shows
	Policed                // the path's capacity, as its losses show
	Interface              // the own interface, or the own processor
	Receiver               // the own receiver drops answers
	Contacts               // a table on the way that is too small for first contacts
)

func (l Limit) String() string {
	return [...]string{"blind: no responder", "evidence", "maximum", "path capacity (queue)", "path capacity (policed)", "own interface", "own receiver", "first contacts"}[l]
}

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
	vague    bool    // it is known badly
	policed  bool    // by losses alone
	model    float64 // s: the queue, as it should be now
	synced   int64   // the model was last put right then
	since    int64   // samples sent before then have been judged
	paced    float64 // of the last decision
	floor    float64 // s: queue that does not drain, so is none of ours

	loss   loss
	train  train
	trial  trial
	dipped int64 // when the queue was last let drain
	dip    int64 // until when it is

	over  overloads
	caps  caps
	quota float64 // beacons due
	pulse int     // ticks
}

const (
	tick = int64(10 * time.Millisecond)

	// share of the capacity that is used, and where that is known badly.
	share, vagueShare = 0.985, 0.88
	// leastShare is used while a queue drains.
	leastShare = 0.5
	// drain is how fast a queue is drained: in such a time, in s.
	drain = 0.25
	// trusted is how many samples in a row must show a queue.
	trusted = 4
	// dipEvery is how often all bases are renewed, dipFor how long that takes beside the round trip.
	dipEvery, dipFor = int64(10 * time.Second), int64(50 * time.Millisecond)
)

// New starts at a time.
func New(c Config, now int64) *Controller {
	a := &Controller{cfg: c, now: now, begun: now, rate: c.Start, paced: c.Start, since: now, dipped: now}
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

// Members says how many beacons there are to ask.
func (c *Controller) Members(n int) { c.members = n }

// Beacon says what came of a beacon.
func (c *Controller) Beacon(o Outcome) {
	if c.first == 0 {
		c.first = c.now
		c.train.next = c.now
	}
	if o.Proven {
		c.loss.hear(o.Sent, o.Lost, o.Late)
		c.train.hear(&o)
		c.trial.hear(&o)
	}
	if o.Lost {
		return
	}
	trip, base := o.RTT.Seconds(), o.Base.Seconds()
	c.srtt += (trip - c.srtt) * gain(c.srtt, 1./16)
	if base == 0 {
		return // the first of a beacon whose round trip nobody knew
	}
	c.base += (min(base, trip) - c.base) * gain(c.base, 1./32)
	if trip < base-fallen-c.jit.mean/2 {
		c.trial.fell++
	}
	m := c.history.at(o.Sent)
	x := sample{at: o.Sent, sent: m.sent, queue: max(0, trip-base-c.floor)}
	x.excess = x.queue - m.queue
	if c.samples.n > 0 {
		c.jit.hear(c.samples.back(0), &x)
	}
	c.samples.add(x)
}

// gain is that of an average, which its first value begins.
func gain(old, usual float64) float64 {
	if old == 0 {
		return 1
	}
	return usual
}

// fallen is by how much, in s, a beacon's round trip must be shorter than any before for its base to have fallen.
const fallen = 0.002

// high is from which on an excess of delay is a queue, low until where there is none.
func (c *Controller) high() float64 { return 0.004 + 0.02*c.base + 3*c.jit.mean }
func (c *Controller) low() float64  { return 0.0015 + 0.01*c.base + 1.5*c.jit.mean }

// Tick decides. Call it every 10 ms.
func (c *Controller) Tick(now int64) Decision {
	c.follow(now)
	c.now = now
	c.caps.look(c)
	c.look()
	return c.decide()
}

// follow brings history and model up to now.
func (c *Controller) follow(now int64) {
	old := c.history.newest()
	c.history.rate = c.paced
	if now <= old.at {
		return
	}
	if c.capacity > 0 && !c.policed {
		c.model = max(0, c.model+(c.sent-old.sent)/c.capacity-seconds(now-old.at))
	} else {
		c.model = 0
	}
	c.history.add(mark{at: now, sent: c.sent, queue: c.model})
}

// look draws conclusions from what came in.
func (c *Controller) look() {
	switch {
	case c.phase == Test:
		c.judgeTrial()
	case c.train.sent(c):
		c.judgeTrain()
	case c.queueing():
		c.overload()
	case c.loss.alarm():
		c.lossy()
	default:
		c.sync()
		c.loss.learn(c)
	}
}

// recent are the excesses of the answers to what was sent in the newest span of sending, sorted; at least trusted of them where so many were sent
// since the last conclusion.
func (c *Controller) recent(buf *[64]float64) (values []float64, newest, oldest int64) {
	window := max(int64(15*time.Millisecond), int64(c.srtt/3*1e9))
	for i := range min(c.samples.len(), len(buf)) {
		x := c.samples.back(i)
		if x.at <= c.since {
			break
		}
		if newest == 0 {
			newest = x.at
		}
		if newest-x.at > window && (len(values) >= c.enough() || newest-x.at > int64(time.Second/2)) {
			break
		}
		oldest = x.at
		values = append(values, x.excess)
	}
	return values, newest, oldest
}

// enough samples show a queue.
func (c *Controller) enough() int {
	if c.jit.mean > 0.001 {
		return 10
	}
	return trusted
}

// queueing tells whether more of a queue stands than the model knows.
func (c *Controller) queueing() bool {
	var buf [64]float64
	values, _, _ := c.recent(&buf)
	values = append(buf[:0], values...)
	return len(values) >= c.enough() && quantile(values, len(values)/10) > c.high()
}

// sync puts the model right, once a round trip.
func (c *Controller) sync() {
	var buf [64]float64
	values, newest, oldest := c.recent(&buf)
	if len(values) < trusted || oldest <= c.synced || c.capacity == 0 {
		return
	}
	_ = newest
	off := quantile(append(buf[:0], values...), len(values)/2)
	c.model = max(0, c.model+0.7*off)
	c.synced = c.now
}

// decide makes the decision of what is known.
func (c *Controller) decide() Decision {
	d := Decision{Phase: c.phase, Capacity: c.capacity, Loss: c.loss.own, Limit: Evidence}
	c.rate = c.pace()
	rate := c.rate
	if c.first == 0 {
		d.Limit = Blind
	}
	switch {
	case c.phase == Test:
		rate = c.trial.rate
	case c.startTrain():
		rate = c.train.rate
	}
	switch {
	case c.capacity > 0 && c.policed:
		d.Limit = Policed
	case c.capacity > 0:
		d.Limit = Queue
	}
	if limit, most := c.caps.most(); rate > most {
		rate, d.Limit = most, limit
	}
	if rate >= c.cfg.Max {
		rate, d.Limit = c.cfg.Max, Maximum
	}
	rate = max(rate, c.cfg.Min)
	c.paced = rate
	d.Rate, d.Beacons = rate, c.beacons(rate)
	return d
}

// pace is the rate between trains.
func (c *Controller) pace() float64 {
	if c.capacity == 0 {
		return c.rate
	}
	part := share
	if c.vague {
		part = vagueShare
	}
	if c.now < c.dip {
		return c.capacity * leastShare
	}
	if c.now-c.dipped > dipEvery && !c.train.flying() {
		c.dipped, c.dip = c.now, c.now+dipFor
	}
	part -= max(0, c.model-0.0005) / drain
	return c.capacity * math.Max(part, leastShare)
}
