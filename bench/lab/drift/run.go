package drift

import (
	"bytes"
	"fmt"
	"time"

	"synoptic/results"
	"synoptic/scan/monitor"
)

// live runs the clock.
func (r *run) live() error {
	end := int64(r.Days * 86400e9)
	restart := int64(r.Restart)
	var batch []monitor.Endpoint
	for t := int64(0); t < end; t += int64(r.Tick) {
		if restart > 0 && t >= restart {
			restart = 0
			t += int64(r.Down)
			if err := r.again(); err != nil {
				return err
			}
		}
		now := float64(t) / 1e9
		r.w.until(now)
		r.answer(start + t)
		batch = r.p.Next(start+t, 1<<20, batch[:0])
		for _, e := range batch {
			r.ask(e, start+t, now)
		}
		r.second.add(len(batch), r.Monitor.Windows.Open(start+t))
	}
	r.finish(end)
	return nil
}

// again stops the planner and starts another one from its snapshot. Answers under way are lost.
func (r *run) again() error {
	var snapshot bytes.Buffer
	if err := r.p.Snapshot(&snapshot); err != nil {
		return err
	}
	r.r.Snapshot = snapshot.Len()
	p, err := monitor.Restore(r.Monitor, r.space, &snapshot)
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	r.p, r.waiting, r.head = p, r.waiting[:0], 0
	r.second.pause()
	return nil
}

// ask answers for an endpoint, as it is now, some time later.
func (r *run) ask(e monitor.Endpoint, at int64, now float64) {
	r.r.Probes++
	index, _ := r.space.Index(e.Addr.Addr(), e.Addr.Port())
	state := results.State(0)
	switch {
	case r.blind(now):
		state = results.Unknown
	case r.Loss > 0 && r.w.rng.Float64() < r.Loss:
	case r.w.open.has(index):
		state = results.Open
	case index%3 > 0: // every third is silent where it is shut
		state = results.Closed
	}
	r.waiting = append(r.waiting, waiting{at + int64(delay), index, e.Addr, state, now})
}

func (r *run) blind(now float64) bool {
	return r.Blind[1] > 0 && now >= r.Blind[0].Seconds() && now < r.Blind[1].Seconds()
}

// answer tells the planner what has come in.
func (r *run) answer(now int64) {
	for r.head < len(r.waiting) && r.waiting[r.head].at <= now {
		a := r.waiting[r.head]
		r.head++
		if a.state != results.Unknown {
			r.aged(a.index, a.sent)
		}
		if c, changed := r.p.Result(a.addr, a.state, a.at); changed {
			r.changed(a.index, c)
		}
	}
	if r.head > 4096 && 2*r.head > len(r.waiting) {
		r.waiting = r.waiting[:copy(r.waiting, r.waiting[r.head:])]
		r.head = 0
	}
}

// aged notes how old an endpoint has got.
func (r *run) aged(index uint64, now float64) {
	age := time.Duration((now - float64(r.asked[index])) * 1e9)
	if r.open[index] {
		r.r.OpenAge = max(r.r.OpenAge, age)
	} else {
		r.r.Age = max(r.r.Age, age)
	}
	r.asked[index] = float32(now)
}

func (r *run) changed(index uint64, c monitor.Change) {
	if c.After == results.Open {
		r.open[index] = true
	} else {
		delete(r.open, index)
	}
	since, happened := r.w.since[index]
	if !happened {
		r.r.False++
		return
	}
	delete(r.w.since, index)
	r.r.Changes++
	r.late[0] += float64(c.Confirmed-start)/1e9 - since
	r.late[1] += float64(c.NotAfter-start)/1e9 - since
}

// finish counts what nobody has seen, and how old what was not asked since is.
func (r *run) finish(end int64) {
	for i := range r.asked {
		r.aged(uint64(i), float64(end)/1e9)
	}
	r.r.Unseen = len(r.w.since)
	if n := float64(r.r.Changes); n > 0 {
		r.r.Detect, r.r.Seen = time.Duration(r.late[0]/n*1e9), time.Duration(r.late[1]/n*1e9)
	}
	r.r.Low, r.r.High = r.second.low, r.second.high
	r.r.Figures = r.p.Supervise(start + end)
}

// meter counts the probes of every second, wherever it begins. One probe more or less than the budget is none: it is whole.
type meter struct {
	ticks     []int
	k, filled int
	sum       int
	budget    float64
	low, high float64
}

func newMeter(tick time.Duration, budget float64) meter {
	return meter{ticks: make([]int, time.Second/tick), budget: budget, low: 1, high: 1}
}

// pause begins anew: what was not up sends nothing.
func (m *meter) pause() {
	clear(m.ticks)
	m.sum, m.filled = 0, 0
}

func (m *meter) add(n int, open bool) {
	if !open {
		m.pause()
		return
	}
	m.sum += n - m.ticks[m.k]
	m.ticks[m.k] = n
	m.k = (m.k + 1) % len(m.ticks)
	if m.filled++; m.filled <= len(m.ticks) {
		return
	}
	if sum := float64(m.sum); sum > m.budget {
		m.high = max(m.high, max(sum-1, m.budget)/m.budget)
	} else {
		m.low = min(m.low, min(sum+1, m.budget)/m.budget)
	}
}
