package auto

import (
	"math"
	"time"
)

// Yield is what came of a cohort of positions, of which the silent ones have been probed twice.
type Yield struct {
	From, To int64 // when it was probed for the first time
	First    int   // answers to the first attempt
	Second   int   // and to the second
}

// caps are limits that are not the path's capacity, in packets per second.
type caps struct {
	own      float64 // the interface or the processor
	receiver float64
	contacts float64
	pressed  int64 // when the interface last had no room
	drops    int64 // when answers were last dropped
	held     int64 // until when the cap for first contacts stays
	known    bool  // contacts is what Contacts said
	yield    [2]float64
	low      int // looks in a row in which too few have answered at once
}

func (k *caps) reset() { k.own, k.receiver, k.contacts = math.Inf(1), math.Inf(1), math.Inf(1) }

// Backpressure says that the own interface had no room, n times since the last call.
func (c *Controller) Backpressure(now int64, n int) {
	if n > 0 {
		c.caps.pressed = now
	}
}

// Drops says that the own receiver has dropped n answers since the last call.
func (c *Controller) Drops(now int64, n int) {
	if n == 0 {
		return
	}
	if now-c.caps.drops > int64(200*time.Millisecond) {
		c.caps.receiver = 0.8 * min(c.paced, c.caps.receiver)
	}
	c.caps.drops = now
}

const (
	// yieldFew answers are waited for before first contacts are judged, and yieldLow is the share of what should have answered at once
	// from which on they are limited.
	yieldFew, yieldLow = 40, 0.7
	heldFor            = int64(2500 * time.Millisecond)
)

// Contacts says how many packets a second first contacts bear. From then on nothing is concluded from yields.
func (c *Controller) Contacts(most float64) { c.caps.contacts, c.caps.known = most, true }

// Yield says what came of a cohort. One that met an overload says nothing of first contacts.
func (c *Controller) Yield(y Yield) {
	k := &c.caps
	if k.known || c.Overloaded(y.From, y.To) {
		return
	}
	k.yield[0] += float64(y.First)
	k.yield[1] += float64(y.Second)
	all := k.yield[0] + k.yield[1]
	if all < yieldFew {
		return
	}
	ratio := k.yield[0] / all / (1 - min(c.loss.own, 0.9))
	k.yield = [2]float64{}
	switch {
	case ratio < yieldLow:
		if k.low++; k.low > 1 && c.now > k.held {
			k.contacts = max(0.3, ratio) * min(c.paced, k.contacts)
			k.held = c.now + heldFor
		}
		c.over.add(y.From, y.To)
	case c.now > k.held:
		k.low = 0
		if k.contacts *= 1.1 + max(0, ratio-0.9)*4; k.contacts > 2*c.cfg.Max {
			k.contacts = math.Inf(1)
		}
	}
}

// look moves the caps with time.
func (k *caps) look(c *Controller) {
	const short = int64(50 * time.Millisecond)
	if k.pressed != 0 && c.now-k.pressed < short {
		k.own = 1.05 * c.history.most(c.now)
	} else if k.own *= 1.005; k.own > 2*c.cfg.Max {
		k.own = math.Inf(1)
	}
	if k.drops != 0 && c.now-k.drops > int64(time.Second) {
		if k.receiver *= 1.001; k.receiver > 2*c.cfg.Max {
			k.receiver = math.Inf(1)
		}
	}
}

// most is the lowest cap.
func (k *caps) most() (Limit, float64) {
	limit, least := Interface, k.own
	if k.receiver < least {
		limit, least = Receiver, k.receiver
	}
	if k.contacts < least {
		limit, least = Contacts, k.contacts
	}
	return limit, least
}

// capped tells whether a cap holds, so that no train can tell anything.
func (c *Controller) capped() bool {
	_, most := c.caps.most()
	return most < 1.3*c.rate
}
