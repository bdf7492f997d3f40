package engine

import (
	"runtime"
	"sync"
	"time"

	"synoptic/rawsock/xdp"
	"synoptic/results/crash"
)

// liveThread is the thread that the generator runs on, inside one long system call. One goroutine
// calls its methods.
type liveThread struct {
	programs *xdp.Programs
	wake     chan struct{} // a token for each call to make
	out      chan error    // how each call ended
	ended    chan struct{}
	nudging  sync.WaitGroup
	running  bool
}

// startThread makes the thread and sends a frame through the driver. The error says what the driver has
// against it; the thread is there in any case.
func startThread(p *xdp.Programs, frame []byte) (*liveThread, error) {
	t := &liveThread{programs: p, wake: make(chan struct{}), out: make(chan error, 1), ended: make(chan struct{})}
	ready := make(chan error)
	crash.Go(func() {
		// Never unlocked: the thread is tied to a processor, and ends with the goroutine.
		runtime.LockOSThread()
		err := p.PrepareGenerator()
		if err == nil {
			err = p.TryDriver(frame)
		}
		if err == nil {
			t.nudging.Go(crash.Guarded(t.nudge))
		}
		ready <- err
		for range t.wake {
			t.out <- p.Generate()
		}
	})
	return t, <-ready
}

// nudgeEvery bounds how long the rest of the system waits for the generator's processor.
const nudgeEvery = 5 * time.Millisecond

// nudge makes the generator's processor reschedule now and then. While nothing else wants it, the
// generator stays in one RCU read-side section (bpf_test_timer_continue, net/bpf/test_run.c), and who
// waits for a grace period, such as a program that closes a namespace, waits for a tenth of a second.
func (t *liveThread) nudge() {
	runtime.LockOSThread() // and never unlocked, as above
	if t.programs.PinBeside() != nil {
		return // it only helps others
	}
	tick := time.NewTicker(nudgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.ended:
			return
		case <-tick.C:
		}
	}
}

// run makes the generator run if it does not, and tells how it failed.
func (t *liveThread) run() error {
	if t.running {
		select {
		case err := <-t.out: // by a signal of somebody else's, if there is no error
			t.running = false
			if err != nil {
				return err
			}
		default:
			return nil
		}
	}
	t.wake <- struct{}{}
	t.running = true
	return nil
}

// interruptEvery is how long an interrupt is waited for: it is lost where it comes just before the call.
const interruptEvery = time.Millisecond

// rest makes the generator stop where it is.
func (t *liveThread) rest() error {
	for t.running {
		if err := t.programs.Interrupt(); err != nil {
			return err
		}
		select {
		case err := <-t.out:
			t.running = false
			return err
		case <-time.After(interruptEvery):
		}
	}
	return nil
}

// Close ends the thread. It may be called again.
func (t *liveThread) Close() error {
	select {
	case <-t.ended:
		return nil
	default:
	}
	err := t.rest()
	close(t.wake)
	close(t.ended)
	t.nudging.Wait()
	return err
}
