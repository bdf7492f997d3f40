package bubble

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/need"
)

// Timers that fire while others are asked for by their channels: what the runtime's fault needs. With two processors
// the race detector died of it within seconds.
func TestTimersOfABubble(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	Test(t, func(t *testing.T) {
		if need.RaceEnabled && runtime.GOMAXPROCS(0) != 1 {
			t.Errorf("%d processors under the race detector", runtime.GOMAXPROCS(0))
		}
		end := time.Now().Add(10 * time.Second)
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				ticker := time.NewTicker(time.Millisecond)
				defer ticker.Stop()
				for time.Now().Before(end) {
					time.Sleep(time.Millisecond)
					select {
					case <-ticker.C:
					default:
					}
				}
			})
		}
		for range 8 {
			var again func()
			again = func() {
				if time.Now().Before(end) {
					time.AfterFunc(time.Millisecond, again)
				}
			}
			again()
		}
		asking.Wait()
	})
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("%d processors after the bubble, %d before it", now, before)
	}
}

// Of several bubbles at a time the last one that ends gives the processors back.
func TestSeveralBubbles(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	enter()
	enter()
	leave()
	if now := runtime.GOMAXPROCS(0); now != 1 {
		t.Errorf("%d processors while there is a bubble", now)
	}
	leave()
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("%d processors after the last bubble, %d before the first", now, before)
	}
}
