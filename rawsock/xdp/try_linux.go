//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"errors"
	"fmt"
	"time"
)

// tried is what became of a frame that was sent to see whether the driver takes any.
type tried uint8

const (
	nothingSaid tried = iota // no tracepoint has told of it
	ringFull                 // the driver had no room
	frameTaken
)

const (
	// ringPatience outlasts what a scan or a flood that has just ended leaves in a driver's ring: it was seen full
	// for up to two seconds.
	ringPatience = 3 * time.Second
	// sayPatience is for a driver that does not say what it sends: it is asked only to rule out an accident.
	sayPatience = 50 * time.Millisecond
	tryEvery    = 10 * time.Millisecond
)

// ErrRingFull means that a driver had no room for a frame, however long it was waited for. Nothing is missing in it.
var ErrRingFull = errors.New("the interface's ring is full")

// tryDriver tries until the driver has taken a frame, has something against it, or patience is over. A full ring is a
// passing state, and says nothing of what the driver can do.
func tryDriver(try func() (tried, error), sleep func(time.Duration)) error {
	var full, silent time.Duration
	for {
		got, err := try()
		switch {
		case err != nil:
			return err
		case got == frameTaken:
			return nil
		case got == ringFull && full >= ringPatience:
			return fmt.Errorf("try the driver: %w, and has been for %v", ErrRingFull, ringPatience)
		case got == ringFull:
			full += tryEvery
		case silent >= sayPatience:
			return unsupported(fmt.Errorf("try the driver: %w: it does not say what it sends", ErrUnsupported))
		default:
			silent += tryEvery
		}
		sleep(tryEvery)
	}
}
