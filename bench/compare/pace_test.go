package main

import (
	"errors"
	"math"
	"testing"
	"time"
)

// The silence before and after, and the unknown parts of the first and the last interval, do not count.
func TestRate(t *testing.T) {
	at := func(ms int, count uint64) point { return point{time.Duration(ms) * time.Millisecond, count} }
	points := []point{at(0, 0), at(10, 0), at(20, 50), at(30, 1050), at(40, 2050), at(50, 3050), at(60, 3100), at(2000, 3100)}
	if r := rate(points); math.Abs(r-100_000) > 1e-6 {
		t.Errorf("%v per second, want 1000 in 10 ms", r)
	}
	// A tool that pauses has the pause in its rate.
	points = []point{at(0, 10), at(10, 20), at(500, 20), at(1000, 20), at(1010, 1020), at(1020, 1025)}
	if r := rate(points); math.Abs(r-1000) > 1e-6 {
		t.Errorf("%v per second, want 1010 in 1010 ms", r)
	}
	for _, short := range [][]point{{at(0, 0)}, {at(0, 0), at(10, 0)}, {at(0, 0), at(10, 500), at(20, 1000)}, points[:1],
		{at(0, 0), at(10, 500), at(20, 700), at(30, 1000)}, {at(0, 0), at(10, 500), at(20, 700), at(30, 900), at(40, 1000)}} {
		if r := rate(short); r != 0 {
			t.Errorf("%v gives %v per second", short, r)
		}
	}
}

func TestPace(t *testing.T) {
	var count uint64 = 1000
	reads := 0
	stop, err := pace(func() (uint64, error) {
		reads++
		if reads > 2 && reads < 10 {
			count += 100
		}
		return count, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	probes, pps, err := stop()
	if err != nil || probes != count-1000 || probes > 0 && pps < 0 {
		t.Errorf("%d probes at %v, %v", probes, pps, err)
	}
	broken := errors.New("no counter")
	if _, err := pace(func() (uint64, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("the first reading failed: %v", err)
	}
	reads = 0
	stop, err = pace(func() (uint64, error) {
		if reads++; reads > 1 {
			return 0, broken
		}
		return 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := stop(); !errors.Is(err, broken) {
		t.Errorf("a later reading failed: %v", err)
	}
}
