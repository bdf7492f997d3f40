package dest

import (
	"context"
	"time"
)

// SetClock puts a clock of the test's under a destination over HTTP.
func SetClock(d Destination, now func() time.Time, sleep func(context.Context, time.Duration) error) {
	p := posterOf(d)
	p.now, p.sleep = now, sleep
}

// SetLimit sets the bytes of a request's body.
func SetLimit(d Destination, n int) { posterOf(d).limit = n }

func posterOf(d Destination) *poster {
	switch d := d.(type) {
	case *hec:
		return d.poster
	case *elastic:
		return d.poster
	}
	panic("not a destination over HTTP")
}

// Scrub is what becomes of a receiver's words.
func Scrub(text string, secrets ...string) string { return NewScrubber(secrets...).Words(text) }
