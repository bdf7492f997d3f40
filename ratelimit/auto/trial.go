package auto

import (
	"math"
	"time"
)

// trial is sending slower for a moment, to learn whether what is lost is lost for our rate, and whether a queue stands that no base
// has shown: then round trips become shorter than any before. Loss that goes on is tried a second time, at a quarter of what was answered
// in the first: only what is lost at both is not ours, for the first may still have been too fast.
type trial struct {
	rate   float64
	begun  int64
	first  float64 // the rate until then,
	lost   float64 // and the share lost at it
	doubt  bool    // nothing more is lost than is known not to be ours, and that is in doubt
	was    float64 // the rate that the present one is compared with,
	before float64 // the share lost at it,
	ours   float64 // and the capacity if it was too high
	second bool
	slower int64   // when the rate was last lowered
	heard  int     // outcomes
	queue  bool    // one has been seen
	fell   int     // round trips shorter than any before, or with a queue
	deep   float64 // s: by how much at most
	moved  int64   // when the newest was sent that shows the queue to be draining still
	calm   int     // answers behind that
	calmAt int64   // when the first of them was sent
}

const (
	// trialFewest outcomes tell that losses go on, or have ended, if they say as much in nats, and trialMost in any case.
	trialFewest, trialMost = 8, 40
	goneOn, ended          = 4.0, -6.0
	// trialOutcomes tell how much is lost that is not ours.
	trialOutcomes = 15
	// trialShare of the capacity, if it was too high, is sent at.
	trialShare, trialLeast = 0.25, 0.06
	// none is what a path may lose on which losses have ended.
	none = 0.05
	// calmAnswers show that the queue is gone, of what was sent so long behind the last that showed it to drain.
	calmAnswers, calmAfter = 4, int64(30 * time.Millisecond)
	// again is how long it takes until a beacon may be asked again.
	again = int64(260 * time.Millisecond)
	// doubtful is the loss that is not ours from which on that is tried anew every doubtEvery.
	doubtful, doubtEvery = 0.1, int64(10 * time.Second)
)

func (t *trial) hear(o *Outcome, jitter float64) {
	if t.begun == 0 || o.Sent <= t.begun {
		return
	}
	if o.Proven && !o.Late {
		t.heard++
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
	c.trial = trial{begun: c.now, first: was, lost: lost, queue: queue}
	c.trial.slow(c, was, lost)
	c.phase = Test
	c.conclude()
}

// slow goes on slower, for a rate has lost a share.
func (t *trial) slow(c *Controller, was, lost float64) {
	t.was, t.before, t.slower = was, lost, c.now
	t.ours = was * (1 - lost) / (1 - min(lost, c.loss.own))
	t.rate = max(trialShare*t.ours, t.rate/16, c.cfg.Min)
}

// lossy concludes from losses: where a queue stands they are its, and else a trial begins.
func (c *Controller) lossy() {
	from := max(c.loss.since, c.now-int64(time.Second)-int64(1.5*c.srtt*1e9))
	f := c.samples.fit(from, c.now, c.floor())
	// The run that has raised the alarm says what is lost since something has changed, and too much where nothing has.
	p := max((f.lost+c.loss.own)/(f.asked+1), 0.6*c.loss.run.lost/c.loss.run.asked)
	carried := c.history.over(from, c.now)
	c.over.add(from, c.now)
	if c.capacity > 0 && c.jit.mean < jumpy && c.spread() < vague*vague && (c.model > c.low() || c.backlog() > c.low()) {
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
	waited, slow := seconds(c.now-t.begun), seconds(c.now-t.slower)
	f := c.samples.fit(t.slower, c.answered(), c.floor())
	least := min(c.loss.own, none)
	goesOn := f.says(min(max(t.before, least+0.1), 0.95), least)
	queue := t.queue || t.fell >= 2 && float64(t.fell) >= 0.15*float64(t.heard)
	few := f.asked < trialFewest || f.asked < trialMost && goesOn > ended && goesOn < goneOn || t.second && goesOn > 0 && f.asked < trialOutcomes
	switch {
	case queue && waited > 2+2*c.srtt:
	case waited < c.srtt+0.03:
		return
	case queue && t.calm < calmAnswers:
		if slow > 0.4+c.srtt { // even this is more than the path carries
			t.slower, t.rate = c.now, max(t.rate/2, trialLeast*t.ours, c.cfg.Min)
		}
		return
	case queue && c.now < t.calmAt+again: // those whose bases are good now are wanted for the train
		return
	case queue:
	case few && slow < 2+2*c.srtt && (slow < 1+2*c.srtt || f.asked < trialFewest):
		return
	case goesOn > 0 && !t.second:
		t.slow(c, t.rate, f.lossOf(t.before))
		t.second = t.rate <= max(trialShare*t.ours, c.cfg.Min)
		return
	}
	if queue {
		c.over.add(t.begun, c.now)
	}
	c.conclude()
	c.model, c.train.next = 0, c.now
	if queue { // now it is gone, and a train shows the capacity
		c.policed, c.phase, c.capacity = false, Start, 0
		c.renewed = t.calmAt
		c.rate = t.rate
		c.train.at = t.first
	} else {
		c.blame(&f, goesOn <= 0)
	}
	t.begun = 0
}

// blame says whose the losses are, by those of a trial: they are over, or some go on.
func (c *Controller) blame(f *fit, over bool) {
	t := &c.trial
	known := c.loss.own
	c.loss.take(tally{f.asked, f.lost})
	left := func(lost float64) float64 { return (1 - lost) / (1 - min(c.loss.own, lost)) }
	switch more := c.loss.own > known+none; {
	case over:
		c.police.begin(c, t.was*left(t.before))
	case !more && !t.doubt: // what is lost beyond that is ours
		c.police.begin(c, t.first*left(t.lost))
	case !more && c.policed:
		c.phase, c.police.since = Cruise, c.now
	default:
		if c.policed {
			c.policed, c.capacity = false, 0
		}
		c.rate = t.first
		if c.phase = Start; c.capacity > 0 {
			c.phase = Cruise
		}
	}
}
