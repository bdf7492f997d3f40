package auto

import (
	"math"
	"time"
)

// jitter is how much round trips differ that see the same queue: beacons that left together.
type jitter struct {
	mean float64 // s: the median of the differences, or near it

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
	together    = int64(2 * time.Millisecond)
	jitterLook  = 40
	jitterLooks = 6
)

func (j *jitter) hear(a, b *sample) {
	j.look[j.k] = b.queue
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
	if a == nil || a.lost || a.blind {
		return
	}
	if d := a.at - b.at; d > together || d < -together {
		return
	}
	// A median by small steps: what a few bases that hide a queue make differ does not move it.
	if d := math.Abs(a.queue - b.queue); d > j.mean {
		j.mean = max(j.mean, jitterLeast) * jitterStep
	} else {
		j.mean /= jitterStep
	}
	j.mean = min(max(j.mean, jitterLeast), 0.05)
}
