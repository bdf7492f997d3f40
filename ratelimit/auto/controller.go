package auto

import (
	"math"
	"os"
	"time"
)

// Config is what a controller starts with, in packets per second: 0 < Min ≤ Start ≤ Max. Start is what it goes at without any evidence.
type Config struct{ Start, Min, Max float64 }

// Decision is what holds until the next tick.
type Decision struct {
	Rate     float64 // packets per second, beacons included
	Beacons  float64 // how many of them a second are to be beacons
	Spread   bool    // they leave between probes, so as to share their fate, and not at once
	Focus    int     // how many beacons are to take turns, those that have answered first; 0: as many as the rate asks for
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

	loss   loss
	police police
	train  train
	trial  trial
	dipped int64 // when the queue was last let drain
	dip    int64 // until when it is

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
	blindEvery = int64(time.Second)
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
)

var debug = os.Getenv("AUTODEBUG") != ""

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
	}
	c.sync()
	c.loss.learn(c)
	if c.policed {
		c.judgePolice(false)
	}
}

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
	return len(values) >= c.enough() && quantile(values, len(values)/10) > c.high()
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
		if x.at <= c.since || x.queue < least || newest-x.at > fitSpan {
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
