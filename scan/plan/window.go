package plan

import (
	"fmt"
	"time"

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
	need := rate * (asked.RetryGap*time.Duration(asked.Attempts-1) + asked.Wait).Seconds()
	if reach := float64(size) * 7 / 8; need > reach {
		return 0, refuse("MaxMemory", fmt.Sprintf("give MaxMemory %dM, or a lower Rate, fewer Attempts or a shorter RetryGap", int64(need*8/7/2)>>20+1),
			"the result map holds %.3g positions, but %d attempts %v apart at %.4g pps need %.3g", reach, asked.Attempts, asked.RetryGap, rate, need)
	}
	return size, nil
}
