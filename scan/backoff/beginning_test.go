package backoff

import (
	"testing"
	"time"
)

// A firewall that limits rates is seen as well where it refuses so soon after the first probe that the first looks, a tenth of a second each, are all that shows how it was
// before.
func TestFirewallFromTheBeginning(t *testing.T) {
	for burst := 100.0; burst <= 400; burst += 20 {
		for seed := range uint64(10) {
			w := newWorld(seed, nil)
			w.says = w.firewall(100, burst, says{open: 0.125, reset: 0.875}, prohibits)
			w.run(2*time.Second, 1000)
			if len(w.told) == 0 || w.told[0].Reason != Prohibitions {
				t.Errorf("a burst of %v, seed %d: %+v", burst, seed, w.told)
			}
		}
	}
}
