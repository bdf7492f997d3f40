package estimate

import (
	"math"
	"math/rand/v2"
	"testing"

	"synoptic/bench/lab/need"
)

// scanOf counts the answers of a scan of n cohorts of size positions: share is how often a first attempt is answered in a cohort.
func scanOf(r *rand.Rand, n, size int, share func(cohort int) float64) []Cohort {
	all := make([]Cohort, n)
	for i := range all {
		all[i] = Cohort{Begin: uint64(i * size), End: uint64((i + 1) * size), Asked: uint64(size)}
		for range size {
			if r.Float64() < share(i) {
				all[i].First[r.IntN(2)]++
			}
		}
		all[i].Found = all[i].First
	}
	return all
}

// What answers as often all the time is not limited: less than one in a thousand times.
func TestContactsHold(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	scans, alarms := need.Sample(t, 300, 1000, 3000), 0
	for i := range scans {
		share := []float64{0.0005, 0.003, 0.02, 0.2, 0.9}[i%5]
		if l, ok := FewerContacts(scanOf(r, 1+r.IntN(64), 64+r.IntN(200), func(int) float64 { return share }), Open, Closed); ok {
			alarms++
			t.Logf("share %v: %+v", share, l)
		}
	}
	if alarms > 1+scans/1000 {
		t.Errorf("%d alarms in %d scans", alarms, scans)
	}
}

func TestFewerContacts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for _, c := range []struct {
		name     string
		share    func(cohort int) float64
		made     bool // later attempts have made up for it
		from, to int  // about; 0: no alarm
	}{
		{"a table is full from the 8th cohort of 128 on", func(i int) float64 {
			if i < 8 {
				return 0.01
			}
			return 0
		}, false, 8, 128},
		{"and has some room now and then", func(i int) float64 {
			if i < 32 {
				return 0.1
			}
			return 0.03
		}, false, 32, 128},
		{"the same, and the second attempt found the rest", func(i int) float64 {
			if i < 32 {
				return 0.1
			}
			return 0.03
		}, true, 0, 0},
		{"a third of the scan", func(i int) float64 {
			if i >= 40 && i < 80 {
				return 0.02
			}
			return 0.1
		}, false, 40, 80},
		{"a loss of a fifth more", func(i int) float64 {
			if i > 60 {
				return 0.24
			}
			return 0.3
		}, false, 0, 0},
		{"nothing answers", func(int) float64 { return 0 }, false, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := scanOf(r, 128, 128, c.share)
			if c.made {
				for i := range all {
					all[i].Found = [2]uint64{6, 6}
				}
			}
			l, ok := FewerContacts(all, Open, Closed)
			if ok != (c.to > 0) || ok && (l.From < c.from-6 || l.From > c.from+3 || l.To < c.to-3 || l.To > c.to+6) {
				t.Errorf("%+v, %v", l, ok)
			}
		})
	}
	if _, ok := FewerContacts(nil, Open); ok {
		t.Error("limited without a cohort")
	}
}

// Only the kinds that are asked for count: hosts that limit their resets look like limits of first contacts.
func TestContactsOfAKind(t *testing.T) {
	all := make([]Cohort, 10)
	for i := range all {
		all[i] = Cohort{Asked: 1000, First: [2]uint64{10, 0}}
		if i == 0 {
			all[i].First[Closed] = 500
		}
		all[i].Found = all[i].First
	}
	if _, ok := FewerContacts(all, Open); ok {
		t.Error("limited by closed ports, of open ones")
	}
	if l, ok := FewerContacts(all, Open, Closed); !ok || l.From != 1 || l.To != 10 {
		t.Errorf("%+v, %v", l, ok)
	}
}

func TestStillFound(t *testing.T) {
	for _, c := range []struct {
		name        string
		answered    []uint64
		asked, lost uint64
		want        bool
	}{
		{"a full table", []uint64{100, 90, 85}, 1000, 0, true},
		{"a router that drops what comes before it knows a neighbour", []uint64{0, 5000, 40}, 1000, 10, false},
		{"the same, two attempts", []uint64{0, 5000}, 1000, 10, false},
		{"losses of a tenth", []uint64{5000, 500, 50}, 1000, 100, false},
		{"losses of two thirds, which the beacons see", []uint64{3000, 2000, 1300}, 1000, 660, false},
		{"the same, which they do not see", []uint64{3000, 2000, 1300}, 1000, 10, true},
		{"too few answers", []uint64{8, 7, 8}, 1000, 0, false},
		{"too few beacons", []uint64{100, 90, 85}, 50, 0, false},
	} {
		n := new(Counts)
		copy(n.Answered[Open][:], c.answered)
		n.Silent[len(c.answered)] = 10_000
		if got := n.StillFound(c.asked, c.lost, Open, Closed); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Of two sets of cohorts the first may have answered more seldom; nothing known, or more often, is no fall.
func TestContactsCompared(t *testing.T) {
	of := func(asked, open, closed uint64) []Cohort {
		return []Cohort{{Asked: asked / 2, First: [2]uint64{open, 0}}, {Asked: asked / 2, First: [2]uint64{0, closed}}}
	}
	for _, c := range []struct {
		name         string
		some, others []Cohort
		share        float64
		nats         [2]float64
	}{
		{"a third", of(3000, 10, 0), of(1000, 10, 0), 1. / 3, [2]float64{2.5, 3.5}},
		{"a third of ten times as much", of(30_000, 100, 0), of(10_000, 100, 0), 1. / 3, [2]float64{25, 35}},
		{"nothing at all", of(3000, 0, 0), of(1000, 20, 0), 0, [2]float64{27, 28.5}},
		{"as many", of(3000, 30, 0), of(1000, 10, 0), 1, [2]float64{}},
		{"more", of(3000, 90, 0), of(1000, 10, 0), 1, [2]float64{}},
		{"of another kind", of(3000, 10, 20), of(1000, 10, 900), 1. / 3, [2]float64{2.5, 3.5}},
		{"nothing known of the others", of(3000, 0, 0), nil, 1, [2]float64{}},
		{"nothing known of some", nil, of(1000, 10, 0), 1, [2]float64{}},
	} {
		l := Contacts(c.some, c.others, Open)
		if math.Abs(l.Share-c.share) > 1e-9 || l.Nats < c.nats[0] || l.Nats > c.nats[1] {
			t.Errorf("%s: %+v", c.name, l)
		}
	}
}
