package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

const (
	// synFrame is how many bytes a probe of synoptic has: Ethernet, IPv4, TCP with its maximum segment size.
	synFrame = 58
	// near is how close to the capacity a rate follows it, looks long in a row of a twentieth of a second each.
	near, nearFor = 0.15, 5
	look          = 50 * time.Millisecond
)

// stepRow is one run.
type stepRow struct {
	Queue, Trip time.Duration
	Down, Up    float64 // s until the rate follows; NaN is written as -1: it never did
	Rates       []float64
	tried
}

// step is a capacity that falls to a quarter and rises again.
func step(ctx context.Context, o *options) (result, error) {
	const high, low = 20_000.0, 5_000.0
	bits, before, between := 15, 4*time.Second, 5*time.Second
	if o.quick {
		bits, before, between = 16, 2*time.Second, 3*time.Second
	}
	var rows []stepRow
	var lines [][]string
	for name, p := range paths {
		queue, trip := p.Queue, p.Trip
		if !o.wants(name) || o.quick && len(rows) > 0 {
			continue
		}
		c := cell{Capacity: high, Queue: queue, Trip: max(trip, fastTrip), Bits: bits}
		s := ours(o.program, "--rate", "auto")
		bound := o.bound
		if bound == 0 {
			bound = 2 * time.Minute
		}
		row := stepRow{Queue: queue, Trip: trip, Down: -1, Up: -1}
		plain := s.run
		var m *meter
		var fell, rose time.Time
		s.run = func(ctx context.Context, r *road, w *way, bound time.Duration) (out outcome, err error) {
			if m, err = follow(r); err != nil {
				return out, err
			}
			changed := make(chan error, 1)
			ended, end := context.WithCancel(ctx)
			go func() { changed <- change(ended, m, r, w.queue, low, high, before, between, &fell, &rose) }()
			out, err = plain(ctx, r, w, bound)
			end()
			for _, e := range []error{<-changed, m.stop()} {
				if err == nil {
					err = e
				}
			}
			return out, err
		}
		x, err := try(ctx, &s, c.way(synFrame), bound)
		if err != nil {
			return result{}, err
		}
		row.tried = x
		_, first, last := m.span(0)
		row.Rates = m.rates(0, first, last, look)
		if !fell.IsZero() {
			row.Down = followed(m.rates(0, fell, last, look), low)
		}
		if !rose.IsZero() {
			row.Up = followed(m.rates(0, rose, last, look), high)
		}
		rows = append(rows, row)
		lines = append(lines, []string{name, after(row.Down), after(row.Up), fmt.Sprintf("%d of %d", x.Open-x.Found, x.Open), fmt.Sprintf("%.2f %%", 100*float64(x.Dropped)/max(1, float64(x.Passed+x.Dropped))), x.says()})
	}
	text := fmt.Sprintf(`## A capacity that changes

%gk, after %v %gk, after %v more %gk again. A rate follows when it is within %.0f %% of the capacity for %v, counted at the router every %v.

`, high/1000, before, low/1000, between, high/1000, 100*near, nearFor*look, look)
	return result{Rows: rows, text: text + grid([]string{"path", "followed down in", "up in", "open ports missed", "dropped", ""}, lines)}, nil
}

// change has the capacity fall some time after the first probe, and rise after another, unless ctx ends before.
func change(ctx context.Context, m *meter, r *road, queue time.Duration, low, high float64, before, between time.Duration, fell, rose *time.Time) error {
	begun := m.now()
	for m.now() == begun {
		if wait(ctx, meterStep) != nil {
			return nil
		}
	}
	if wait(ctx, before) != nil {
		return nil
	}
	if err := r.hosts.Bottleneck(low*synFrame, queue); err != nil {
		return err
	}
	*fell = time.Now()
	if wait(ctx, between) != nil {
		return nil
	}
	if err := r.hosts.Bottleneck(high*synFrame, queue); err != nil {
		return err
	}
	*rose = time.Now()
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// followed is after how many seconds rates, one a look, stay near the capacity for nearFor looks; -1: never.
func followed(rates []float64, capacity float64) float64 {
	in := 0
	for i, r := range rates {
		if in++; math.Abs(r-capacity) > near*capacity {
			in = 0
		}
		if in == nearFor {
			return float64(i+1-nearFor) * look.Seconds()
		}
	}
	return -1
}

func after(seconds float64) string {
	if seconds < 0 {
		return "never"
	}
	return fmt.Sprintf("%.2f s", seconds)
}
