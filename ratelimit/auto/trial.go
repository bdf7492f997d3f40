package auto

import (
	"math"
	"time"
)

// trial is sending slower for a moment, to learn whether what is lost is lost for our rate, and whether a queue stands that no base
// has shown: then round trips become shorter than any before.
type trial struct {
	rate   float64
	begun  int64
	before float64 // share lost until then
	was    float64 // the rate until then,
	ours   float64 // and the capacity if it was too high
	asked  tally
	slower int64   // when the rate was last lowered
	queue  bool    // one has been seen
	fell   int     // round trips shorter than any before, or with a queue
	deep   float64 // s: by how much at most
	moved  int64   // when the newest was sent that shows the queue to be draining still
	calm   int     // answers behind that
	calmAt int64   // when the first of them was sent
}

const (
	trialOutcomes, trialFewest = 20, 8
	// trialShare of the capacity, if it was too high, is sent at.
	trialShare, trialLeast = 0.25, 0.06
	// calmAnswers show that the queue is gone, of what was sent so long behind the last that showed it to drain.
	calmAnswers, calmAfter = 4, int64(30 * time.Millisecond)
	// again is how long it takes until a beacon may be asked again.
	again = int64(260 * time.Millisecond)
)

func (t *trial) hear(o *Outcome, jitter float64) {
	if t.begun == 0 || o.Sent <= t.begun {
		return
	}
	if o.Proven && o.Late {
		t.asked.lost = max(0, t.asked.lost-1)
	} else if o.Proven {
		t.asked.add(o.Lost)
	}
	if o.Lost || o.Base == 0 {
		return
	}
	off, least := (o.RTT - o.Base).Seconds(), fallen+3*jitter
	if math.Abs(off) > least {
		t.fell++
	}
	switch {
	case off > least, off < -least && -off > t.deep+least/2: // less of the queue is left than any has shown
		t.deep = max(t.deep, -off)
		if t.calm = max(0, t.calm-2); jitter < shaky || t.calm == 0 {
			t.moved, t.calm = max(t.moved, o.Sent), 0
		}
	case o.Sent > t.moved+calmAfter:
		if t.calm == 0 || o.Sent < t.calmAt {
			t.calmAt = o.Sent
		}
		t.calm++
	}
}

// try begins a trial at a rate that has lost a share; queue tells that a queue has been seen.
func (c *Controller) try(was, lost float64, queue bool) {
	ours := was * (1 - lost) / (1 - c.loss.own)
	c.trial = trial{rate: max(trialShare*ours, c.cfg.Min), begun: c.now, slower: c.now, before: lost, was: was, ours: ours, queue: queue}
	c.phase = Test
	c.conclude()
}

// lossy concludes from losses: where a queue stands they are its, and else a trial begins.
func (c *Controller) lossy() {
	from := max(c.loss.since, c.now-int64(time.Second)-int64(1.5*c.srtt*1e9))
	f := c.samples.fit(from, c.now, c.floor())
	// The run that has raised the alarm says what is lost since something has changed, and too much where nothing has.
	p := max((f.lost+c.loss.own)/(f.asked+1), 0.6*c.loss.run.lost/c.loss.run.asked)
	carried := c.history.over(from, c.now)
	c.over.add(from, c.now)
	if c.capacity > 0 && c.spread() < vague*vague && (c.model > c.low() || c.backlog() > c.low()) {
		left := (1 - p) / (1 - c.loss.own)
		c.settle(min(carried*left, c.capacity*(1-0.5*p)), 0.05)
		c.model = max(c.model, c.backlog())
		c.conclude()
		return
	}
	c.try(carried, p, false)
}

// judgeTrial concludes from a trial.
func (c *Controller) judgeTrial() {
	t := &c.trial
	waited := seconds(c.now - t.begun)
	if now := seconds(c.now - t.slower); now > 0.1+1.5*c.srtt && t.asked.asked >= 6 && t.asked.share(0) > t.before+0.25 { // far more than before
		t.slower, t.rate = c.now, max(t.rate/3, c.cfg.Min)
		t.asked, t.queue = tally{}, true
	}
	queue := t.queue || t.fell >= 2 && float64(t.fell) >= 0.15*t.asked.asked
	switch {
	case waited > 2+2*c.srtt:
	case waited < c.srtt+0.03:
		return
	case queue && t.calm < calmAnswers:
		if now := seconds(c.now - t.slower); now > 0.4+c.srtt { // even this is more than the path carries
			t.slower, t.rate = c.now, max(t.rate/2, trialLeast*t.ours, c.cfg.Min)
		}
		return
	case queue && c.now < t.calmAt+again: // those whose bases are good now are wanted for the train
		return
	case !queue && t.asked.asked < trialOutcomes && !(waited > 1+2*c.srtt && t.asked.asked >= trialFewest):
		return
	}
	during := t.asked.share(c.loss.own)
	if queue {
		c.over.add(t.begun, c.now)
	}
	c.conclude()
	c.model, c.train.next = 0, c.now
	switch {
	case queue: // now it is gone, and a train shows the capacity
		c.policed, c.phase, c.capacity = false, Start, 0
		c.renewed = t.calmAt
		c.rate = t.rate
		c.train.at = t.was
	case t.before > c.loss.own+0.02 && during < 0.6*t.before && t.asked.asked >= trialFewest:
		c.police.begin(c, t.ours)
	default:
		if t.before > c.loss.own {
			c.loss.take(t.asked, t.before)
		}
		c.rate = t.was
		if c.phase = Start; c.capacity > 0 {
			c.phase = Cruise
		}
	}
	t.begun = 0
}
