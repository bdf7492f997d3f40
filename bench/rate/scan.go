package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/responder"
)

// scanner scans the test network, whose far side counts.
type scanner struct {
	program *bench.Program
	sink    *responder.Responder
}

// pollEvery is how often the far side's counter is read.
const pollEvery = time.Millisecond

// hosts is how many addresses the test network's prefix has.
const hosts = 1 << 16

// targets is a range of addresses and ports of at least n positions, and hardly more.
func targets(n int) (addresses, ports string) {
	each := (n + hosts - 1) / hosts
	last := (n+each-1)/each - 1
	return fmt.Sprintf("10.77.0.0-10.77.%d.%d", last>>8, last&0xff), fmt.Sprintf("1-%d", each)
}

// scan scans n positions once, has something done meanwhile, and gives what the far side counted.
func (s *scanner) scan(backend, rate string, n int, meanwhile func(*exec.Cmd) error) ([]sample, error) {
	addresses, ports := targets(n)
	cmd := s.program.Command(context.Background(), "scan", addresses, "-p", ports, "--backend", backend, "--rate", rate, "--retries", "0", "--wait", "500ms", "-q")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	done, watched := make(chan struct{}), make(chan []sample)
	go func() { watched <- watch(s.sink.SYNs, done) }()
	err := cmd.Start()
	if err == nil {
		err = errors.Join(meanwhile(cmd), cmd.Wait())
	}
	close(done)
	samples := <-watched
	if err != nil {
		return nil, fmt.Errorf("%v: %w: %s", cmd.Args[1:], err, stderr.String())
	}
	return samples, nil
}

func nothing(*exec.Cmd) error { return nil }

// hold scans at a rate for a time.
func (s *scanner) hold(backend string, rate int, span time.Duration) (cells string, err error) {
	all, err := s.scan(backend, fmt.Sprint(rate), int(float64(rate)*span.Seconds()), nothing)
	if err != nil {
		return "", err
	}
	return report(steady(all), float64(rate))
}

// report compares every second and every 100 ms with the rate.
func report(all []sample, rate float64) (cells string, err error) {
	second, tenth := rates(all, time.Second), rates(all, 100*time.Millisecond)
	if second.n == 0 || tenth.n == 0 {
		return "–", errors.New("no full second was seen")
	}
	a, b := second.off(rate), tenth.off(rate)
	if a > secondError || b > tenthError {
		err = fmt.Errorf("off by %.2f %% over a second and %.2f %% over 100 ms", 100*a, 100*b)
	}
	return fmt.Sprintf("%.0f, %.0f | %.2f %% | %.0f, %.0f | %.2f %%", second.lowest, second.highest, 100*a, tenth.lowest, tenth.highest, 100*b), err
}

// slow sends half a packet a second for 20 s.
func (s *scanner) slow() (cells string, err error) {
	const n, apart = 10, 2 * time.Second
	all, err := s.scan("afpacket", "0.5", n, nothing)
	if err != nil {
		return "", err
	}
	times := arrivals(all)
	if len(times) != n {
		return fmt.Sprintf("%d | of %d", len(times), n), fmt.Errorf("%d packets came of %d", len(times), n)
	}
	shortest, longest := time.Hour, time.Duration(0)
	for i, at := range times[1:] {
		d := at.Sub(times[i])
		shortest, longest = min(shortest, d), max(longest, d)
	}
	if off := max(longest-apart, apart-shortest); off.Seconds() > slowError*apart.Seconds() {
		err = fmt.Errorf("%v off", off)
	}
	return fmt.Sprintf("%d | %.3f to %.3f s apart", n, shortest.Seconds(), longest.Seconds()), err
}

// stopped scans at 10,000 packets a second and stops the process for five seconds of it. Behind that the limiter may catch up 100 ms, at 1.25 times
// the rate (package ratelimit).
func (s *scanner) stopped() (cells string, err error) {
	const rate, stand = 10_000, 5 * time.Second
	var stopped, continued time.Time
	all, err := s.scan("afpacket", fmt.Sprint(rate), hosts, func(cmd *exec.Cmd) error {
		time.Sleep(2 * time.Second)
		err := cmd.Process.Signal(stopSignal)
		stopped = time.Now()
		time.Sleep(stand)
		continued = time.Now()
		return errors.Join(err, cmd.Process.Signal(continueSignal))
	})
	if err != nil {
		return "", err
	}
	// What was under way when the signal came may still leave.
	while := count(between(all, stopped.Add(100*time.Millisecond), continued))
	behind := between(all, continued.Add(-10*time.Millisecond), continued.Add(time.Hour))
	tenth, hundredth := most(behind, 100*time.Millisecond), most(behind, 10*time.Millisecond)
	const (
		factor, credit = 1.25, 0.002 * rate // of the limiter: while it catches up, and at once
		grain          = 1.1                // how much longer than 10 ms a window is that ends at readings
	)
	if while > 0 || len(behind) == 0 || float64(tenth) > 1+factor*grain*rate/10+credit || float64(hundredth) > 1+factor*2*rate/100+credit {
		err = fmt.Errorf("%d while it stood, then up to %d in 100 ms and %d in 10 ms", while, tenth, hundredth)
	}
	return fmt.Sprintf("%d | %d while it stood; behind that at most %d in any 100 ms and %d in any 10 ms", count(all), while, tenth, hundredth), err
}
