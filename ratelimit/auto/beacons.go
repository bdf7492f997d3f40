package auto

import (
	"math"
	"time"
)

const (
	// beaconShare of the rate are beacons, at least beaconFloor a second, at most mostShare of the rate and mostBeacons a second.
	beaconShare, startShare = 0.008, 0.02
	beaconFloor, startFloor = 40.0, 100.0
	mostShare, mostBeacons  = 0.1, 1000.0
	// measureShare of the rate they may take in a train or a trial: who sends little has to measure for longer.
	measureShare = 0.5
	startTime    = int64(2 * time.Second)
)

// focus is how many beacons take turns: few at first, for their bases are older than any queue of ours, and are soon known.
func (c *Controller) focus(rate float64) int {
	switch {
	case c.phase == Test:
		return 96
	case c.phase != Cruise:
		return 48 << min(c.train.clean, 4)
	case rate < 20e3:
		return 80
	}
	return 160
}

// beacons is how many beacons a second are to be sent until the next tick. Few a second are sent two at a time, for two that see the same
// queue tell how round trips differ without it.
func (c *Controller) beacons(rate float64) float64 {
	share, floor := beaconShare, beaconFloor
	if c.phase != Cruise && c.now-c.begun < startTime {
		share, floor = startShare, startFloor
	}
	b := min(max(share*rate, floor), mostShare*rate, mostBeacons)
	per := 2.5 // a second for each beacon: the others rest for trains
	switch {
	case c.phase == Test:
		b, per = max(b, min(300, measureShare*rate)), 3.5
	case c.policed:
		b = max(b, min(100, 0.05*rate))
	case c.first == 0:
		per = 4
	case c.phase == Start && c.members < 16:
		per = 0.5
	case c.phase == Start:
		per = 1
	}
	b = min(b, per*float64(min(c.members, c.focus(rate))))
	t := &c.train
	if t.flying() && !t.begun {
		return 0
	}
	if t.flying() && c.now <= t.to+tick/2 {
		n := min(max(rate*0.0006, 4), 12)
		ticks := float64(t.to-t.from)/float64(tick) + 1
		ready := float64(min(c.members, c.focus(rate)))
		n = max(1, math.Floor(min(n, ready/ticks)))
		if c.capacity == 0 && c.now <= t.from+tick/2 && ready > ticks {
			n *= 2 // a queue that hides shows at the begin only
		}
		if most := measureShare * max(rate, t.rate) * seconds(tick); n > most {
			return c.whole(most, 1)
		}
		c.quota = 0
		return n * 100
	}
	return c.whole(b*seconds(tick), min(2, float64(c.members)))
}

// whole saves up n beacons, a tick's, until they are least at least, and returns all whole ones, as a rate a second.
func (c *Controller) whole(n, least float64) float64 {
	if c.quota += n; c.quota < least {
		return 0
	}
	n = math.Floor(c.quota)
	c.quota -= n
	return n * 100
}
