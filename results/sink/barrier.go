package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/results/sink/delivery"
	"synoptic/results/sink/queue"
)

// Barrier is a place in the stream of one or several outputs. It comes back when all that was put before it is
// durable: delivered and synced, or safe in the spool, or among the dead letters and synced. Records go on
// behind it meanwhile.
type Barrier struct{ places []place }

// place is where a barrier stands in one output.
type place struct {
	o    *Output
	mark *queue.Mark
	err  error // of an output in which it could not be set
}

// NotDurableError says which output is not durable up to a barrier, and why.
type NotDurableError struct {
	Output string
	Err    error
}

func (e *NotDurableError) Error() string {
	return fmt.Sprintf("output %q is not durable up to here: %v", e.Output, e.Err)
}

// Unwrap gives the cause.
func (e *NotDurableError) Unwrap() error { return e.Err }

// insureAfter is how long a barrier leaves it to the destination to be durable, before what waits is copied to
// the spool. One that takes nothing at the moment is not waited for.
const insureAfter = time.Second

// Place sets a barrier behind all records that the output was given. Like Flush, which is part of it, it may
// wait for room, and belongs between two calls of Ports; what the barrier waits for, it does not.
func (o *Output) Place() *Barrier { return &Barrier{[]place{o.place()}} }

func (o *Output) place() place {
	if err := o.Flush(); err != nil {
		return place{o: o, err: err}
	}
	if held := o.held(); held > 0 && o.about.grouped {
		return place{o: o, err: fmt.Errorf("the format holds %d records until the scan is over", held)}
	}
	return place{o: o, mark: o.queue.Mark()}
}

// Barrier waits until all records that the output was given are durable. An error is a *NotDurableError.
func (o *Output) Barrier(ctx context.Context) error { return setAndWait(ctx, o.name, o.Place) }

// setAndWait does not wait for room longer than for all else.
func setAndWait(ctx context.Context, output string, set func() *Barrier) error {
	c := make(chan *Barrier, 1)
	crash.Go(func() { c <- set() })
	select {
	case b := <-c:
		return b.Wait(ctx)
	case <-ctx.Done():
		return &NotDurableError{output, fmt.Errorf("it has no room: %w", ctx.Err())}
	}
}

// Wait waits until all before the barrier is durable, in every output, or until the end of ctx. The error joins a
// *NotDurableError for each output that is not; the others are. It may be called from any goroutine.
func (b *Barrier) Wait(ctx context.Context) error {
	errs := make([]error, len(b.places))
	var wg sync.WaitGroup
	for i, p := range b.places {
		wg.Go(crash.Guarded(func() {
			if err := p.wait(ctx); err != nil {
				errs[i] = &NotDurableError{p.o.name, err}
			}
		}))
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (p place) wait(ctx context.Context) error {
	if p.err != nil {
		return p.err
	}
	urge := time.NewTimer(p.o.patience())
	defer urge.Stop()
	for {
		select {
		case <-p.mark.Back():
			return p.mark.Err()
		case <-urge.C:
			p.o.queue.Urge()
			urge.Reset(insureAfter)
		case <-ctx.Done():
			return p.o.late(ctx.Err())
		}
	}
}

// patience is how long a barrier leaves it to the destination.
func (o *Output) patience() time.Duration {
	if o.delivery.Health() == delivery.Failing {
		return 0
	}
	return insureAfter
}

// late is why a barrier has not come back.
func (o *Output) late(err error) error {
	if trouble := o.delivery.Trouble(); trouble != nil {
		return fmt.Errorf("%w: %w", trouble, err)
	}
	return err
}

// Place sets a barrier in all outputs: see Output.Place. What is no output keeps nothing.
func (t *Tee) Place() *Barrier {
	b := &Barrier{}
	for _, branch := range t.branches {
		if o, ok := results.SinkAs[*Output](branch.Sink); ok {
			b.places = append(b.places, o.place())
		}
	}
	return b
}

// Barrier waits until all records that the outputs were given are durable: see Barrier.Wait.
func (t *Tee) Barrier(ctx context.Context) error { return setAndWait(ctx, "all", t.Place) }
