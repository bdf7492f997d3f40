package sink

import (
	"errors"
	"strings"
	"testing"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// One output that fails says so once, and the others get everything.
func TestTeeGoesOnWithoutABrokenSink(t *testing.T) {
	for at := range 4 {
		bubble.Test(t, func(t *testing.T) {
			// Of a queue in between, the error may show in any call after the one that it came from.
			broken := &receiver{answer: func(call int, _ *batch.Batch) (dest.Outcome, error) {
				if call == at {
					return dest.Outcome{}, &dest.Permanent{Err: errDown}
				}
				return dest.Outcome{}, nil
			}}
			healthy := &receiver{}
			a, _ := output(t, broken, "", Config{})
			b, _ := output(t, healthy, "", Config{})
			tee := NewTee(a.Output, b.Output)
			ports := make([]results.Port, 10)
			var failures int
			for _, call := range []func() error{
				func() error { return tee.Start(&results.ScanStart{ScanID: "s"}) },
				func() error { return tee.Ports(ports) }, tee.Flush,
				func() error { return tee.Ports(ports) }, func() error { return tee.Events(make([]results.Event, 3)) },
				func() error { return tee.Hosts(make([]results.Host, 2)) }, tee.Flush,
				func() error { return tee.End(&results.ScanEnd{ScanID: "s"}) }, tee.Close,
			} {
				err := call()
				bubble.Wait()
				if err != nil {
					failures++
					if !errors.Is(err, errDown) || strings.Count(err.Error(), errDown.Error()) != 1 {
						t.Errorf("error %v", err)
					}
				}
			}
			if failures != 1 {
				t.Errorf("a failure of batch %d is reported %d times", at, failures)
			}
			got := healthy.got.String()
			if lines := strings.Count(got, "\n"); lines != 1+20+3+2+1 || !strings.Contains(got[strings.LastIndexByte(got[:len(got)-1], '\n'):], "scan_end") {
				t.Errorf("the healthy output has %d lines: %s", lines, got)
			}
			if broken.closed != 1 || healthy.closed != 1 {
				t.Errorf("closed %d times and %d times", broken.closed, healthy.closed)
			}
			all := tee.Deliveries()
			if len(all) != 2 || all[1].Delivered != 27 || all[1].Queued != 0 || all[0].Delivered >= 27 {
				t.Errorf("counts %+v", all)
			}
		})
	}
}

// An output that is stuck keeps nothing from the others when the scan stops.
func TestTeeStops(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		stuck, healthy := &receiver{stuck: make(chan struct{})}, &receiver{}
		defer func() { close(stuck.stuck) }()
		a, _ := output(t, stuck, "", Config{memory: 1000})
		b, _ := output(t, healthy, "", Config{})
		tee := NewTee(a.Output, b.Output)
		sent := make(chan error)
		go func() {
			for range 10 {
				if err := errors.Join(tee.Ports(make([]results.Port, 10)), tee.Flush()); err != nil {
					t.Error(err)
				}
			}
			sent <- tee.End(&results.ScanEnd{})
		}()
		bubble.Wait()
		tee.Stop()
		must(t, <-sent)
		err := tee.Finish(ended())
		lost, ok := errors.AsType[*UndeliveredError](err)
		if !ok || lost.Records != 101 || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v", err)
		}
		if got := healthy.got.String(); strings.Count(got, "\n") != 101 || !strings.Contains(got, "scan_end") {
			t.Errorf("the healthy output has %s", got)
		}
	})
}
