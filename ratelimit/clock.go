package ratelimit

import "time"

// Clock is the time a Limiter lives in: the machine's own (System), or one that
// a test moves.
type Clock interface {
	// Now returns a monotonic time: never one before the last.
	Now() time.Time
	// Sleep returns after d or later.
	Sleep(d time.Duration)
}

// System returns the machine's clock. Expect it to oversleep: on Linux the Go
// runtime waits in whole milliseconds once its processor has nothing else to do,
// so a sleep of 200 µs lasts about 1.1 ms.
func System() Clock { return system{time.Now()} }

// system counts from its own start, because time.Since reads one clock where
// time.Now reads two, and takes about half as long.
type system struct {
	start time.Time
}

func (s system) Now() time.Time { return s.start.Add(time.Since(s.start)) }

func (system) Sleep(d time.Duration) { time.Sleep(d) }
