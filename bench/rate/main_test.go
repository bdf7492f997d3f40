package main

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Every run has as many positions as it needs, and hardly more: a range that ended earlier would measure less than was asked for.
func TestTargetsSuffice(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/16")
	asked := []int{1, 10, hosts, hosts + 1}
	for _, h := range held {
		for _, rate := range h.rates {
			asked = append(asked, rate*leastSeconds, rate*mostSeconds)
		}
	}
	for _, want := range asked {
		addresses, ports := targets(want)
		from, to, _ := strings.Cut(addresses, "-")
		first, last := netip.MustParseAddr(from).As4(), netip.MustParseAddr(to)
		if !prefix.Contains(last) {
			t.Fatalf("%d positions: targets up to %v, outside of %v", want, last, prefix)
		}
		end := last.As4()
		each, err := strconv.Atoi(strings.TrimPrefix(ports, "1-"))
		got := ((int(end[2])<<8 | int(end[3])) - (int(first[2])<<8 | int(first[3])) + 1) * each
		if err != nil || got < want || got >= want+each {
			t.Errorf("%s %s: %d positions, want %d", addresses, ports, got, want)
		}
	}
}

// counted is a counter that is read every millisecond, and grows by what a function says for each.
func counted(ms int, grows func(ms int) uint64) (all []sample) {
	begin, n := time.Unix(1000, 0), uint64(0)
	for i := range ms {
		n += grows(i)
		all = append(all, sample{begin.Add(time.Duration(i) * time.Millisecond), n})
	}
	return all
}

// Ten milliseconds of double the rate are a tenth too much in some 100 ms and a hundredth in some second, wherever they lie; what stands before the
// first probe and behind the last is not looked at.
func TestReport(t *testing.T) {
	run := func(extra uint64) []sample {
		return counted(4000, func(ms int) uint64 {
			switch {
			case ms < 500 || ms >= 3500:
				return 0
			case ms >= 1955 && ms < 1965:
				return 10 + extra
			}
			return 10
		})
	}
	cells, err := report(steady(run(0)), 10_000)
	if err != nil || cells != "10000, 10000 | 0.00 % | 10000, 10000 | 0.00 %" {
		t.Errorf("an even rate: %s, %v", cells, err)
	}
	cells, err = report(steady(run(10)), 10_000)
	if err == nil || cells != "10000, 10100 | 1.00 % | 10000, 11000 | 10.00 %" {
		t.Errorf("10 ms of double the rate: %s, %v", cells, err)
	}
	if _, err = report(steady(run(4)), 10_000); err != nil {
		t.Errorf("10 ms of 1.4 times the rate: %v", err)
	}
	if _, err = report(steady(counted(900, func(int) uint64 { return 10 })), 10_000); err == nil {
		t.Error("less than a second was enough")
	}
}

// Readings that come late make windows longer, not rates wrong.
func TestLateReadings(t *testing.T) {
	all := counted(3000, func(int) uint64 { return 10 })
	all = append(all[:1000:1000], all[1040:]...)
	if s := rates(all, 100*time.Millisecond); s.n == 0 || math.Abs(s.off(10_000)) > 1e-9 {
		t.Errorf("%+v", s)
	}
}

// A burst is seen whole, and arrivals are found one by one.
func TestMost(t *testing.T) {
	all := counted(1000, func(ms int) uint64 {
		if ms == 500 {
			return 77
		}
		return uint64(ms % 2)
	})
	if n := most(all, 10*time.Millisecond); n != 82 {
		t.Errorf("%d in 10 ms, want 77 and each second of ten others", n)
	}
	slow := arrivals(counted(5000, func(ms int) uint64 { return map[bool]uint64{true: 1}[ms%2000 == 1] }))
	if len(slow) != 3 || slow[1].Sub(slow[0]) != 2*time.Second {
		t.Errorf("arrivals at %v", slow)
	}
	if n := count(between(all, all[100].at, all[200].at)); n != 50 {
		t.Errorf("%d in 100 ms of one every other", n)
	}
}
