package main

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m, built.Close) }

var built bench.Shared

// A run through all that a road can be, from its network to what is counted: synoptic finds what is open, and no probe is lost on the way to the
// bottleneck.
func TestTry(t *testing.T) {
	testnet.Require(t)
	program, err := built.Get()
	if err != nil {
		t.Fatal(err)
	}
	targets := netip.MustParsePrefix("10.64.0.0/24")
	live, _ := halves(targets)
	w := way{targets: targets, alive: []netip.Prefix{live}, rate: 1e6, queue: time.Second, trip: 20 * time.Millisecond, loss: 1, port: 80, open: 10}
	s := ours(program, "--rate", "auto", "--retries", "3")
	x, err := try(context.Background(), &s, w, time.Minute)
	if errors.Is(err, fs.ErrPermission) { // no delay in a user namespace
		w.trip = 0
		x, err = try(context.Background(), &s, w, time.Minute)
	}
	if err != nil {
		t.Fatal(err)
	}
	if x.Open != 10 || x.Found != 10 || x.False != 0 || !x.Complete || x.Stopped || x.Dropped > 0 || x.Probes < 256+3*128 || x.Passed < x.Probes || x.Seconds <= 0 || x.Wall < x.Seconds || x.LimitedBy == "" {
		t.Errorf("%+v", x)
	}
}

// Who is stopped has what was found by then.
func TestStopped(t *testing.T) {
	testnet.Require(t)
	program, err := built.Get()
	if err != nil {
		t.Fatal(err)
	}
	targets := netip.MustParsePrefix("10.64.0.0/24")
	s := ours(program, "--rate", "10")
	x, err := try(context.Background(), &s, way{targets: targets, alive: []netip.Prefix{targets}, port: 80, open: -1}, time.Second)
	if err != nil || !x.Stopped || x.Open != 256 || x.Found == 256 || x.Complete {
		t.Errorf("%+v, %v", x, err)
	}
}

// What a probe weighs is its frame's length: a SYN with the maximum segment size.
func TestWeigh(t *testing.T) {
	testnet.Require(t)
	program, err := built.Get()
	if err != nil {
		t.Fatal(err)
	}
	s := ours(program, "--rate", "1000")
	if frame, err := weigh(context.Background(), &s); err != nil || frame != synFrame {
		t.Errorf("%v bytes, %v", frame, err)
	}
}
