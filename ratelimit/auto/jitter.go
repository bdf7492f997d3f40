package auto

import (
	"math"
	"time"
)

// jitter is how much round trips differ that see the same queue: beacons that left together.
type jitter struct {
	mean float64 // s: the median of the differences, or near it
	n    int
	at   int64 // the last answer of which something is known: when it left,
	off  float64

	look [jitterLook]float64 // delays over their bases
	k    int
	mids [jitterLooks]float64 // medians of looks
	m    int
	rest float64 // s: what the median of delays is over their bases where no queue stands
}

const (
	// jitterLeast is the least in s that is told apart from none.
	jitterLeast = 0.0001
	jitterStep  = 1.15
	together    = int64(6 * time.Millisecond)
	jitterLook  = 40
	jitterLooks = 6
)

// settle takes in a delay whose base is good.
func (j *jitter) settle(queue float64) {
	j.look[j.k] = queue
	if j.k++; j.k == jitterLook {
		j.k = 0
		j.mids[j.m%jitterLooks] = quantile(j.look[:], jitterLook/2)
		j.m++
		j.rest = math.Inf(1)
		for _, mid := range j.mids[:min(j.m, jitterLooks)] {
			j.rest = min(j.rest, mid)
		}
		// A queue that stands is no jitter, and answers that left together see the same of it.
		j.rest = min(j.rest, max(0, 1.5*j.mean-0.001))
	}
}

// hear takes in by how much the round trip of what left at a time was off its base. One that was shorter than any before tells of a queue
// that had hid.
func (j *jitter) hear(at int64, off float64) {
	if off < -jitterLeast*5 {
		return
	}
	before, was := j.at, j.off
	j.at, j.off = at, off
	if d := at - before; d > together || d < -together {
		return
	}
	// A median by steps, soon small: what a few bases that hide a queue make differ does not move it.
	j.n++
	step := max(jitterStep, 1+3/float64(j.n+2))
	if d := math.Abs(off - was); d > j.mean {
		j.mean = max(j.mean, jitterLeast) * step
	} else {
		j.mean /= step
	}
	j.mean = min(max(j.mean, jitterLeast), 0.05)
}
