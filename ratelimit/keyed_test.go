package ratelimit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// mostInSecond is the most of ascending times, in ns, that one second holds, both ends included.
func mostInSecond(times []int64) (most int) {
	first := 0
	for i, t := range times {
		for t-times[first] > int64(time.Second) {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// Whatever comes when: no second holds more than one packet beyond the rate, although every packet leaves by up to Lateness after it
// was let go; and where packets are asked about often enough, the rate is reached but for its margin.
func TestKeyedNeverExceeds(t *testing.T) {
	const seconds = 20
	for _, rate := range []float64{0.5, 1, 2.5, 7, 99.9, 100, 1000, 20_000} {
		for _, step := range []time.Duration{100 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 70 * time.Millisecond} {
			rng := rand.New(rand.NewPCG(uint64(rate*10), uint64(step)))
			k, err := NewKeyed(rate, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			var left []int64
			for now := int64(0); now < seconds*int64(time.Second); now += rng.Int64N(int64(2 * step)) {
				for range 64 { // a batch
					if k.Take(0, now) {
						left = append(left, now+rng.Int64N(int64(Lateness)))
					}
				}
			}
			slices.Sort(left)
			if most := mostInSecond(left); float64(most) > rate+1 {
				t.Errorf("rate %v, asked every %v: %d in a second", rate, step, most)
			}
			if 2*step <= Slack && rate*seconds > 100 && float64(len(left)) < 0.98*rate*seconds && rate < 64/step.Seconds()/2 {
				t.Errorf("rate %v, asked every %v: %d in %d s", rate, step, len(left), seconds)
			}
		}
	}
}

// A lane that stands still sends late what it was let go before: what follows makes up for it. Lanes stand still apart from each other.
func TestKeyedMakesUpForTheLate(t *testing.T) {
	for _, rate := range []float64{5, 50, 500} {
		rng := rand.New(rand.NewPCG(uint64(rate), 1))
		k, _ := NewKeyed(rate, 1, 0)
		type packet struct{ asked, leaves int64 }
		lanes := make([]packet, 4) // what each is about to send
		var left []int64
		for now := int64(0); now < 60*int64(time.Second); now += int64(500 * time.Microsecond) {
			for i := range lanes {
				p := &lanes[i]
				if p.leaves > now {
					continue
				}
				if p.leaves > 0 {
					left = append(left, now)
					if now-p.asked > int64(Lateness) {
						k.Late(0, now)
					}
				}
				if *p = (packet{}); k.Take(0, now) {
					p.asked, p.leaves = now, now+1
					if rng.IntN(10) == 0 {
						p.leaves += rng.Int64N(int64(600 * time.Millisecond))
					}
				}
			}
		}
		slices.Sort(left)
		if most := mostInSecond(left); float64(most) > rate+1 {
			t.Errorf("rate %v: %d in a second", rate, most)
		}
		if rate < 500 && float64(len(left)) < 0.5*rate*60 { // faster than the lanes are
			t.Errorf("rate %v: %d in a minute", rate, len(left))
		}
	}
}

// Every packet that is put off gets a turn of its own; who keeps it is let go, and the rate is reached with one look for each.
func TestKeyedTurns(t *testing.T) {
	const rate, packets = 100, 500
	k, _ := NewKeyed(rate, 1, 0)
	if k.Next(0, false) > 0 {
		t.Error("a free slot has a queue")
	}
	var turns []int64
	for range packets {
		if k.Take(0, 0) {
			continue
		}
		turns = append(turns, k.Next(0, false))
		k.Queue(0, false, k.Next(0, false))
	}
	if len(turns) != packets-1 || !slices.IsSorted(turns) || len(slices.Compact(slices.Clone(turns))) != len(turns) {
		t.Fatalf("%d turns for %d packets: %v", len(turns), packets, turns[:5])
	}
	for i, at := range turns {
		if !k.Take(0, at+int64(Slack)/2) { // a little late, as ever
			t.Fatalf("turn %d is not kept", i)
		}
	}
	if want := float64(packets-1)*KeyedInterval(rate).Seconds() - Slack.Seconds(); math.Abs(time.Duration(turns[len(turns)-1]).Seconds()-want) > 0.001 {
		t.Errorf("the last turn is at %v, want %.2fs", time.Duration(turns[len(turns)-1]), want)
	}
}

// Where turns are kept late, now and then, nobody loses his place, and the rate is reached but for what the delays have cost.
func TestKeyedLateTurns(t *testing.T) {
	const rate, packets = 100, 1000
	k, _ := NewKeyed(rate, 1, 0)
	rng := rand.New(rand.NewPCG(7, 7))
	var waiting []int64
	for range packets {
		waiting = append(waiting, k.Next(0, false))
		k.Queue(0, false, k.Next(0, false))
	}
	var now, late, last int64
	asks := 0
	for len(waiting) > 0 {
		slices.Sort(waiting)
		now = max(now, waiting[0])
		if rng.IntN(20) == 0 { // everybody comes late
			d := rng.Int64N(int64(100 * time.Millisecond))
			now, late = now+d, late+d
		}
		if asks++; k.Take(0, now) {
			last = now
			waiting = waiting[1:]
			continue
		}
		waiting[0] = k.Next(0, true)
		k.Queue(0, true, waiting[0])
	}
	if possible := int64(packets)*int64(KeyedInterval(rate)) + late; last > possible+possible/50 || asks > 4*packets {
		t.Errorf("took %v with %d looks, %v are possible", time.Duration(last), asks, time.Duration(possible))
	}
}

// What was let go and did not leave leaves its place to others.
func TestKeyedUndo(t *testing.T) {
	k, _ := NewKeyed(10, 1, 0)
	for range 3 {
		if !k.Take(0, 0) {
			t.Fatal("not let go")
		}
		k.Undo(0)
	}
	if !k.Take(0, 0) || k.Take(0, 0) {
		t.Error("one goes at a time")
	}
}

// Prefixes that follow one another are spread over the slots as chance would, by any salt, and by each otherwise.
func TestKeyedSlotsAreEven(t *testing.T) {
	const keys = 4 * KeyedSlots
	for name, key := range map[string]func(i uint64) (hi, lo uint64){
		"hosts":         func(i uint64) (uint64, uint64) { return 0, 10<<24 + i },
		"every 256th":   func(i uint64) (uint64, uint64) { return 0, i << 8 },
		"every 65536th": func(i uint64) (uint64, uint64) { return 0, i << 16 },
		"every 1001st":  func(i uint64) (uint64, uint64) { return 0, i * 1001 },
		"IPv6 /64":      func(i uint64) (uint64, uint64) { return 0, 0x20010db8<<32 + i },
		"IPv6 hosts":    func(i uint64) (uint64, uint64) { return 0x20010db8 << 32, i },
		"IPv6 networks": func(i uint64) (uint64, uint64) { return 0x20010db8<<32 + i<<16, 1 },
	} {
		var before uint32
		for salt := range uint64(3) {
			n := make([]int, KeyedSlots)
			for i := range uint64(keys) {
				n[KeyedSlot(salt*0x9e3779b97f4a7c15, first(key(i)), second(key(i)))]++
			}
			chi := 0.0
			for _, x := range n {
				chi += float64((x-4)*(x-4)) / 4
			}
			// χ² of 65,535 degrees of freedom: mean 65,535, standard deviation 362.
			if chi > 65_535+6*362 {
				t.Errorf("%s, salt %d: χ² is %.0f", name, salt, chi)
			}
			slot := KeyedSlot(salt*0x9e3779b97f4a7c15, first(key(77)), second(key(77)))
			if slot == before {
				t.Errorf("%s: the salt changes nothing", name)
			}
			before = slot
		}
	}
}

func first(a, _ uint64) uint64  { return a }
func second(_, b uint64) uint64 { return b }

// A table and who counts beforehand find the same slot.
func TestKeyedSlot(t *testing.T) {
	k, _ := NewKeyed(1, KeyedSlots, 42)
	for i := range uint64(100) {
		if k.Slot(i, i*i) != KeyedSlot(42, i, i*i) {
			t.Fatal("two slots for one key")
		}
	}
	if one, _ := NewKeyed(1, 1, 42); one.Slot(7, 9) != 0 {
		t.Error("a table of one slot has another")
	}
}

func TestKeyedRefuses(t *testing.T) {
	for _, c := range []struct {
		rate  float64
		slots int
	}{{0, 1}, {-1, 1}, {math.NaN(), 1}, {math.Inf(1), 1}, {1, 0}, {1, 3}, {1, -4}} {
		if _, err := NewKeyed(c.rate, c.slots, 0); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	for _, rate := range []float64{1e-12, 0.001, 1e12} { // extremes do not overflow
		k, err := NewKeyed(rate, 1, 0)
		if err != nil || !k.Take(0, 0) || k.Take(0, 1) != (rate == 1e12) {
			t.Errorf("rate %v: %v", rate, err)
		}
	}
}

func TestKeyedDoesNotAllocate(t *testing.T) {
	k, _ := NewKeyed(1e6, KeyedSlots, 1)
	now := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += 1000
		slot := k.Slot(0, uint64(now))
		k.Take(slot, now)
		k.Queue(slot, true, k.Next(slot, true))
		k.Late(slot, now)
		k.Undo(slot)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkKeyedTake(b *testing.B) {
	for _, hosts := range []uint64{256, KeyedSlots} {
		b.Run(fmt.Sprint(hosts, " hosts"), func(b *testing.B) {
			k, _ := NewKeyed(1000, KeyedSlots, 1)
			now := int64(0)
			for b.Loop() {
				now += 100
				k.Take(k.Slot(0, uint64(now*0x9e3779b9)>>16&(hosts-1)), now)
			}
		})
	}
}
