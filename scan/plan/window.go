package plan

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	"synoptic/rawsock"
	"synoptic/results/window"
)

// windowOf decides how many positions the result map holds at once. It refuses a scan whose retries would come
// when their positions have left the window: that would not go wrong, but wait for its window instead of
// holding its rate. rate is the most that the scan may come to.
func windowOf(asked *Config, backend string, positions uint64, rate float64) (uint64, error) {
	size, err := window.For(positions, asked.MaxMemory)
	if err != nil {
		return 0, err
	}
	if backend == BackendConnect || size >= positions {
		return size, nil
	}
	need := rate * underWay(asked)
	if reach := windowReach(size); need > reach {
		return 0, refuse("MaxMemory", fmt.Sprintf("give MaxMemory %dM, or a lower Rate, fewer Attempts or a shorter RetryGap", memoryFor(need*8/7, positions)),
			"the result map holds %.3g positions, but %d attempts %v apart at %.4g pps need %.3g", reach, asked.Attempts, asked.RetryGap, rate, need)
	}
	return size, nil
}

// underWay is how long a position stays in the window, in seconds.
func underWay(asked *Config) float64 {
	return (asked.RetryGap*time.Duration(asked.Attempts-1) + asked.Wait).Seconds()
}

// windowReach is how many positions of a window are under way at once: an eighth is its guard.
func windowReach(size uint64) float64 { return float64(size) * 7 / 8 }

// windowRate is the fastest that the result map allows, in probes per second, within MaxMemory and what the host leaves.
func (p *Plan) windowRate(left rawsock.MemoryLeft) float64 {
	most := p.Asked.MaxMemory
	if !left.Unlimited() {
		most = min(most, int64(mapMemory(left.Bytes)))
	}
	size, err := window.For(p.Positions.Len(), most)
	if err != nil || p.Routes == nil || size >= p.Positions.Len() { // refused later; by connect, a position holds until it is done
		return math.Inf(1)
	}
	return windowReach(size) / underWay(&p.Asked)
}

// memoryFor is how many MiB a window takes over so many of the positions, half a byte each: windows are powers of
// two, and none is larger than it takes to cover the scan.
func memoryFor(window float64, positions uint64) uint64 {
	n := uint64(math.Ceil(min(window, float64(positions))))
	return max(uint64(1)<<bits.Len64(n-1)/2>>20, 1)
}
