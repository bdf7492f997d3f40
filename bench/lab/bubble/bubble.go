// Package bubble runs tests in bubbles of testing/synctest, with a clock of their own that moves when nothing else can.
// It stands between that package and the tests because of a fault of the Go runtime (seen in 1.26): the timers of a
// bubble share one state in the race detector, and two processors may run such timers at a time, one for the bubble and
// one for a goroutine that asks a timer's channel. Sooner or later the detector reads outside its memory and the test
// dies by a SIGSEGV. So under the race detector a process with a bubble in it has one processor; the detector goes by
// what happens before what, and finds the same races.
package bubble

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"synoptic/bench/lab/need"
)

// Test calls f in a bubble, as synctest.Test does.
func Test(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if need.RaceEnabled {
		enter()
		defer leave()
	}
	synctest.Test(t, f)
}

// Wait waits until every other goroutine of the caller's bubble is blocked for good, as synctest.Wait does.
func Wait() { synctest.Wait() }

// processors counts the bubbles there are and remembers how many processors there were before them.
var processors struct {
	sync.Mutex
	bubbles, before int
}

func enter() {
	processors.Lock()
	defer processors.Unlock()
	if processors.bubbles++; processors.bubbles == 1 {
		processors.before = runtime.GOMAXPROCS(1)
	}
}

func leave() {
	processors.Lock()
	defer processors.Unlock()
	if processors.bubbles--; processors.bubbles == 0 {
		runtime.GOMAXPROCS(processors.before)
	}
}
