package auto

import (
	"math"
	"time"
)

// jitter is how much round trips differ that see the same queue: beacons that left together.
type jitter struct {
	mean float64 // s, of the differences
	n    int
}

const together = int64(2 * time.Millisecond)

func (j *jitter) hear(a, b *sample) {
	if d := a.at - b.at; d > together || d < -together {
		return
	}
	j.n++
	j.mean += (math.Abs(a.queue-b.queue) - j.mean) / float64(min(j.n, 32))
}
