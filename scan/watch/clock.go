package watch

import "time"

// clock never goes back, nor stands still: it begins at the time of the day, or where the planner stands if that is later, for a clock that was set
// back would have it wait; and it leaps where the time of the day does, as after a suspension.
type clock struct {
	begun time.Time
	base  int64 // Unix time in ns
}

// leap is by how much the time of the day must be ahead to be followed.
const leap = int64(2 * time.Second)

func newClock(now time.Time, planner int64) clock {
	return clock{now, max(now.UnixNano(), planner)}
}

// at is the planner's time, in ns.
func (c *clock) at(now time.Time) int64 {
	t := c.base + int64(now.Sub(c.begun))
	if wall := now.UnixNano(); wall-t > leap {
		*c = clock{now, wall}
		return wall
	}
	return t
}
