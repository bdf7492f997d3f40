package sim

import (
	"fmt"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/scan/plan"
)

// steeredCell is a path with what is scanned behind it at the automatic rate, and what is asked of that. bench/autorate has many
// more, of the controller alone; these have the whole engine, and their times the waits for gaps at the end of a short scan.
type steeredCell struct {
	capacity    float64 // packets per second
	queue, trip time.Duration
	loss, hit   float64
	police      bool
	ratio       float64 // at most, of the time that an ideal scan takes
	limited     string
}

func (c steeredCell) String() string {
	kind := "queue"
	if c.police {
		kind = "policer"
	}
	return fmt.Sprintf("%gk %s %v RTT %v loss %g hit %g", c.capacity/1000, kind, c.queue, c.trip, c.loss, c.hit)
}

var steeredCells = []steeredCell{
	{capacity: 5_000, queue: 200 * ms, trip: 50 * ms, hit: 0.3, ratio: 1.2, limited: "path-queue"},
	{capacity: 20_000, queue: 20 * ms, trip: 50 * ms, hit: 0.01, ratio: 1.5, limited: "path-queue"},
	{capacity: 20_000, queue: 200 * ms, trip: ms, hit: 0.3, ratio: 1.2, limited: "path-queue"},
	{capacity: 20_000, queue: 50 * ms, trip: 50 * ms, hit: 0.01, police: true, ratio: 1.6, limited: "path-policer"},
	{capacity: 5_000, queue: 20 * ms, trip: 50 * ms, hit: 0.01, ratio: 1.5, limited: "path-queue"},
	{capacity: 20_000, queue: 200 * ms, trip: 50 * ms, hit: 0.001, ratio: 1.25, limited: "path-queue"},
	{capacity: 20_000, queue: 20 * ms, trip: 200 * ms, hit: 0.01, loss: 0.01, ratio: 1.5, limited: "path-queue"},
	{capacity: 100_000, queue: 20 * ms, trip: 50 * ms, hit: 0.01, loss: 0.01, ratio: 1.3, limited: "path-queue"},
	{capacity: 100_000, queue: 200 * ms, trip: ms, hit: 0.3, ratio: 1.2, limited: "path-queue"},
	{capacity: 100_000, queue: 5 * ms, trip: ms, hit: 0.3, police: true, ratio: 1.4, limited: "path-policer"},
}

// scan is one of some 12 s for an ideal scanner.
func (c *steeredCell) scan(seed uint64) *drawn {
	d := &drawn{targets: []string{"10.0.0.0/17"}}
	each := 1 + 2*(1-c.hit)
	for port := range uint16(max(12*c.capacity/each/32768, 1)) {
		d.ports = append(d.ports, 100+port)
	}
	out := Leg{Delay: c.trip / 2, Loss: c.loss, Capacity: c.capacity, Queue: c.queue}
	if c.police {
		out = Leg{Delay: c.trip / 2, Loss: c.loss, Police: c.capacity, PoliceBurst: c.capacity * c.queue.Seconds()}
	}
	d.network = Config{Seed: seed, Routes: routes(false, false), Targets: Targets{Open: c.hit}, Out: out, Back: Leg{Delay: c.trip / 2, Loss: c.loss}}
	d.config = plan.Config{
		Seed: seed, HasSeed: true, Backend: plan.BackendAFPacket, Auto: true, MaxRate: 1e6, Attempts: 3, RetryGap: time.Second, Wait: 2 * time.Second, Lanes: 1,
		Show: results.Open, Patience: time.Minute,
	}
	return d
}

// responsive is how many positions answer.
func (d *drawn) responsive(o *outcome) (n int) {
	network := New(d.network)
	for _, a := range o.Addrs {
		for _, port := range d.ports {
			if network.State(a, port) != 0 {
				n++
			}
		}
	}
	return n
}

// The automatic rate finds what a path carries: the scan takes little longer than an ideal one, finds what there is, and says what
// has limited it.
func TestAutomaticRate(t *testing.T) {
	seed := uint64(1)
	for _, c := range steeredCells[:need.Sample(t, 1, 4, len(steeredCells))] {
		t.Run(c.String(), func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				d := c.scan(seed)
				o := d.run(t, nil)
				e, responsive := o.records.Closing, d.responsive(o)
				if e == nil || o.Err != nil {
					t.Fatalf("%+v, %v", e, o.Err)
				}
				var last time.Duration
				var sent, dropped, beacons int
				for i := range o.log.Probes {
					p := &o.log.Probes[i]
					if sent++; p.SourcePort == o.BeaconPort {
						beacons++
					} else {
						last = max(last, p.At)
					}
					if p.Fate == Overflowed || p.Fate == Policed {
						dropped++
					}
				}
				n, found := float64(o.Positions), float64(responsive)
				ratio := last.Seconds() / ((n + 2*(n-found)) / c.capacity)
				missed := responsive - int(e.Open)
				says := fmt.Sprintf("%.2f of the ideal time, %d of %d missed, %.1f %% dropped, %.1f %% beacons, limited by %s, capacity %.0f, outages %d", ratio, missed, responsive,
					100*float64(dropped)/float64(sent), 100*float64(beacons)/float64(sent), e.LimitedBy, e.Capacity, e.Evidence.Outages)
				if ratio > c.ratio || missed > max(1, responsive/1000) || float64(dropped) > 0.08*float64(sent) || float64(beacons) > 0.025*float64(sent) ||
					e.LimitedBy != c.limited || !e.Complete || e.Evidence.Outages > 0 {
					t.Error(says)
				} else {
					t.Log(says)
				}
			})
		})
	}
}

// Without an answer nothing is known: the rate stays what it began with. Without a bottleneck it becomes what was allowed.
func TestAutomaticRateOfNothing(t *testing.T) {
	for _, c := range []struct {
		hit     float64
		least   float64 // packets in the third second
		most    float64
		limited string
	}{
		{0, 9_000, 10_500, "blind"},
		{0.3, 55_000, 62_000, "maximum"},
	} {
		bubble.Test(t, func(t *testing.T) {
			cell := steeredCell{capacity: 20_000, trip: 20 * ms, hit: c.hit}
			d := cell.scan(1)
			d.network.Out.Capacity = 0
			d.config.MaxRate = 60_000
			o := d.run(t, nil)
			n := float64(o.sentBetween(2*time.Second, 3*time.Second, nil))
			if e := o.records.Closing; n < c.least || n > c.most || e.LimitedBy != c.limited || !e.Complete {
				t.Errorf("hit share %g: %v packets in a second, limited by %q", c.hit, n, e.LimitedBy)
			}
		})
	}
}
