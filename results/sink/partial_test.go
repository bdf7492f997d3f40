package sink

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/delivery"
	"synoptic/results/sink/dest"
)

// but gives the events of a batch but the first n.
func but(n int, b *batch.Batch) (retry []int) {
	for i := n; i < len(b.Events); i++ {
		retry = append(retry, i)
	}
	return retry
}

// A receiver that takes every batch in part is told of once, with its own reason, and once when it takes a
// batch as it is.
func TestOutputInTroubleIsToldOnce(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		healthy := false
		r := &receiver{answer: func(_ int, b *batch.Batch) (o dest.Outcome, err error) {
			if len(b.Events) == 10 && !healthy {
				o.Retry, o.Why = but(8, b), errors.New("403 security_exception: no such privilege")
			}
			return o, nil
		}}
		o, said := output(t, r, "", Config{})
		for range 5 {
			must(t, o.send(10))
			bubble.Wait()
			time.Sleep(time.Minute)
		}
		failing := o.delivery.Health() == delivery.Failing
		if d := o.Delivery(); d.Delivered != 50 || failing {
			t.Errorf("counts %+v, failing %v", d, failing)
		}
		if len(said.all) != 1 || !strings.Contains(fmt.Sprint(said.all[0].Err), "2 of 10 events must be sent again: 403 security_exception: no such privilege") {
			t.Fatalf("said %+v", said.all)
		}
		healthy = true
		must(t, o.send(10))
		bubble.Wait()
		if len(said.all) != 2 || said.all[1].After != 5*time.Minute {
			t.Errorf("said %+v", said.all)
		}
		must(t, o.Close())
		if len(said.all) != 2 {
			t.Errorf("said %+v", said.all)
		}
	})
}

// What a receiver is in trouble with to the end is over with the last batch.
func TestOutputTroubleEnds(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(call int, b *batch.Batch) (o dest.Outcome, err error) {
			if call == 0 {
				o.Retry = []int{3}
			}
			return o, nil
		}}
		o, said := output(t, r, "", Config{})
		must(t, o.send(10))
		must(t, o.Close())
		if len(said.all) != 2 || said.all[0].Err == nil || said.all[1].Err != nil {
			t.Errorf("said %+v", said.all)
		}
	})
}

// When a receiver that takes a part says when to come again, it is left alone for so long; one that does not
// say, and takes little, at longer and longer intervals. One that takes most goes on at the first.
func TestOutputPausesBetweenParts(t *testing.T) {
	for name, c := range map[string]struct {
		take        func(n int) int // of n events
		why         error
		least, most time.Duration // the sum of 12 pauses
	}{
		"says when": {func(int) int { return 1 }, &dest.Busy{Err: errDown, After: time.Minute}, 12 * time.Minute, 20 * time.Minute},
		"little":    {func(int) int { return 1 }, errDown, 10 * time.Second, 3 * time.Minute},
		"most":      {func(n int) int { return n - n/2 }, errDown, 0, 12 * 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				var tries []time.Time
				r := &receiver{answer: func(call int, b *batch.Batch) (o dest.Outcome, err error) {
					if tries = append(tries, time.Now()); call < 12 {
						o.Retry, o.Why = but(c.take(len(b.Events)), b), c.why
					}
					return o, nil
				}}
				o, _ := output(t, r, "", Config{})
				must(t, o.send(1<<13))
				must(t, o.Close())
				if took := tries[12].Sub(tries[0]); took < c.least || took > c.most {
					t.Errorf("12 pauses take %v, want %v to %v", took, c.least, c.most)
				}
				if d := o.Delivery(); d.Delivered != 1<<13 {
					t.Errorf("counts %+v", d)
				}
			})
		})
	}
}
