package ratesim

import (
	"net/netip"
	"time"

	"synoptic/ratelimit/auto"
	"synoptic/scan/beacon"
	"synoptic/scan/rtt"
)

// Rater is what decides on a rate: *auto.Controller, or Fixed.
type Rater interface {
	Sent(now int64, n int)
	Members(n int, trip time.Duration)
	Asked(now int64, n int)
	Beacon(o auto.Outcome)
	Yield(y auto.Yield)
	Backpressure(now int64, n int)
	Starved(now int64)
	Tick(now int64) auto.Decision
	Overloaded(from, to int64) bool
}

// Fixed is a rate that never changes, in packets per second, with beacons or without.
type Fixed struct{ Rate, Beacons float64 }

// Sent is of no account to a rate that never changes, as are all that follow.
func (Fixed) Sent(int64, int) {}

// Members is one of them.
func (Fixed) Members(int, time.Duration) {}

// Asked is one of them.
func (Fixed) Asked(int64, int) {}

// Beacon is one of them.
func (Fixed) Beacon(auto.Outcome) {}

// Yield is one of them.
func (Fixed) Yield(auto.Yield) {}

// Backpressure is one of them.
func (Fixed) Backpressure(int64, int) {}

// Starved is one of them.
func (Fixed) Starved(int64) {}

// Overloaded knows of no overload.
func (Fixed) Overloaded(int64, int64) bool { return false }

// Tick gives the rate.
func (f Fixed) Tick(int64) auto.Decision {
	return auto.Decision{Rate: f.Rate, Beacons: f.Beacons}
}

// Scan is what is scanned, and how.
type Scan struct {
	Positions int
	Hit       float64 // share of positions that answer
	Retries   int
	Start     time.Duration // when it begins
	NIC       float64       // packets per second that the interface takes; 0: any
	Rater     Rater
}

// scan is one under way.
type scan struct {
	Scan
	id    uint8
	net   *network
	dice  chance
	sched schedule
	pace  pace
	cur   pass
	due   []uint32
	idle  int64 // since when nothing is due; 0: something is

	responds []uint64 // bits by position
	answered []uint64
	set      *beacon.Set
	rtts     rtt.Estimator
	lost     bool // a first try was
	gap      int64
	targets  []beacon.Target
	riding   []beacon.Target // beacons that leave between the next probes,
	every    float64         // one in so many,
	ride     float64         // and how many probes until the next one
	outcomes []beacon.Outcome
	nicFree  int64 // when the interface has room again

	sent    int // packets, since the last tick
	pressed int // of them, times that the interface had no room
	begun   int64
	rate    float64
	over    bool
	result  Result
}

const (
	batch      = 16      // probes in a system call
	packetTime = 400     // ns that a probe takes the sender
	tickStep   = 10e6    // ns
	maxGap     = 1e9     // ns between two attempts at a position
	mostQueued = 1 << 11 // packets that the interface's ring holds
)

func newScan(n *network, id int, s Scan, seed uint64) *scan {
	c := &scan{
		Scan: s, id: uint8(id), net: n, dice: chance(seed), sched: newSchedule(uint32(s.Positions), s.Retries),
		set: beacon.New(1), gap: maxGap, begun: epoch + int64(s.Start),
		responds: make([]uint64, (s.Positions+63)/64), answered: make([]uint64, (s.Positions+63)/64),
	}
	c.outcomes = c.set.Outcomes(nil)
	for i := range s.Positions {
		if c.dice.unit() < s.Hit {
			c.responds[i/64] |= 1 << (i % 64)
			c.result.Responsive++
		}
	}
	d := s.Rater.Tick(c.begun)
	c.pace = newPace(d.Rate)
	c.pace.last, c.rate = c.begun, d.Rate
	n.events.push(event{at: c.begun, scan: c.id, kind: wakes})
	n.events.push(event{at: c.begun + tickStep, scan: c.id, kind: ticks})
	return c
}

func has(bits []uint64, pos uint32) bool { return bits[pos/64]&(1<<(pos%64)) != 0 }

// wake sends what the pace grants, and sleeps again.
func (s *scan) wake(now int64) {
	if s.over {
		return
	}
	at := now // the sender's time: each probe takes some
	for {
		if len(s.due) == 0 && !s.collect(at) {
			if !s.over {
				s.net.events.push(event{at: at + s.sleep(2e6), scan: s.id, kind: wakes})
			}
			return
		}
		if s.NIC > 0 && float64(s.nicFree-at)*1e-9*s.NIC > mostQueued {
			s.pressed++
			s.net.events.push(event{at: at + s.sleep(1e6), scan: s.id, kind: wakes})
			return
		}
		n, wait := s.pace.grant(at, len(s.due))
		if n == 0 {
			s.net.events.push(event{at: at + s.sleep(wait), scan: s.id, kind: wakes})
			return
		}
		for _, pos := range s.due[:n] {
			at += packetTime
			s.probe(at, pos)
			if len(s.riding) > 0 {
				if s.ride--; s.ride <= 0 {
					s.ride += s.every
					at += packetTime
					s.beacon(at, s.riding[0])
					s.riding = s.riding[1:]
					s.pace.spend(1)
				}
			}
		}
		s.due = s.due[n:]
		if at-now > 5e5 { // others have their turn
			s.net.events.push(event{at: at, scan: s.id, kind: wakes})
			return
		}
	}
}

// sleep is how long a sleep lasts that was to last d: whole milliseconds and a little, and sometimes a time slice.
func (s *scan) sleep(d int64) int64 {
	d = (d+999_999)/1_000_000*1_000_000 + 20_000 + int64(s.dice.unit()*130_000)
	if s.dice.word()%1024 == 0 {
		d += 5_000_000
	}
	return d
}

// collect takes the next batch of positions; false where none is due.
func (s *scan) collect(now int64) bool {
	for {
		if s.cur.chunk == nil {
			p, _, done := s.sched.next(now, s.gap, s.Rater)
			if p.chunk == nil {
				s.over = done
				if s.idle == 0 {
					s.idle = now
				}
				return false
			}
			s.cur = p
			if s.idle != 0 {
				s.result.idle += now - s.idle
				s.idle = 0
			}
		}
		c := s.cur.chunk
		s.due = s.due[:0]
		if cap(s.due) == 0 || cap(s.due) < batch {
			s.due = make([]uint32, 0, 4096)
		}
		for s.cur.cursor < c.end && len(s.due) < batch {
			if !has(s.answered, s.cur.cursor) {
				s.due = append(s.due, s.cur.cursor)
			}
			s.cur.cursor++
		}
		if len(s.due) > 0 {
			return true
		}
		s.sched.finish(&s.cur, now)
		s.cur.chunk = nil
	}
}

// probe sends a probe.
func (s *scan) probe(at int64, pos uint32) {
	s.sent++
	s.result.Sent++
	s.result.last = at
	at = s.leave(at)
	out, ok := s.net.neck.admit(at)
	if !ok || !has(s.responds, pos) || has(s.answered, pos) {
		return
	}
	if back, ok := s.net.trip(out, &s.dice); ok {
		s.net.events.push(event{at: back, sent: at, pos: pos, scan: s.id, kind: answers, attempt: s.cur.chunk.passes})
	}
}

// leave is when the interface sends what is given to it at a time.
func (s *scan) leave(at int64) int64 {
	if s.NIC == 0 {
		return at
	}
	s.nicFree = max(s.nicFree, at) + int64(1e9/s.NIC)
	return s.nicFree
}

// answer takes in the answer to a probe.
func (s *scan) answer(e *event) {
	if has(s.answered, e.pos) {
		return
	}
	s.answered[e.pos/64] |= 1 << (e.pos % 64)
	s.result.Found++
	s.sched.chunks[e.pos/chunkLen].found[min(e.attempt, mostPasses-1)]++
	s.lost = s.lost || e.attempt > 0
	t, trip := target(e.pos), time.Duration(e.at-e.sent)
	s.rtts.Observe(t.Addr, trip)
	s.set.Heard(e.sent)
	if s.set.Wants(t.Addr, true) {
		s.set.Offer(t, true, e.sent, trip)
	}
}

// target is what a position asks: one of the 65,536 hosts of a /16, at a port.
func target(pos uint32) beacon.Target {
	return beacon.Target{Addr: netip.AddrFrom4([4]byte{10, 0, byte(pos >> 8), byte(pos)}), Port: uint16(1 + pos>>16)}
}

// position is that of a target.
func position(t beacon.Target) uint32 {
	b := t.Addr.As4()
	return uint32(t.Port-1)<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// tick is what the engine's sentinel does every 10 ms: outcomes to the controller, its rate to the pace, beacons out.
func (s *scan) tick(now int64) {
	if s.over {
		return
	}
	s.set.Tick(now)
	s.outcomes = s.set.Outcomes(s.outcomes[:0])
	for _, o := range s.outcomes {
		s.Rater.Beacon(auto.Outcome{Sent: o.Sent, RTT: o.RTT, Base: o.Base, BaseAt: o.BaseAt, Lost: o.RTT == 0, Late: o.Late, Proven: o.Proven})
	}
	members, _ := s.set.Len()
	s.Rater.Members(members, s.rtts.Longest())
	s.Rater.Sent(now, s.sent)
	s.sent = 0
	if s.pressed > 0 {
		s.Rater.Backpressure(now, s.pressed)
		s.pressed = 0
	}
	if s.idle != 0 {
		s.Rater.Starved(now)
	}
	d := s.Rater.Tick(now)
	if d.Rate != s.rate {
		s.rate = d.Rate
		s.pace.set(now, d.Rate)
	}
	s.net.look(s, now, &d)
	s.gap = maxGap
	if !s.lost {
		s.gap = int64(s.rtts.RetryGap(maxGap))
	}
	s.set.Focus(d.Focus)
	if s.idle == 0 {
		s.beacons(now, &d)
	}
	s.net.events.push(event{at: now + tickStep + int64(s.dice.unit()*400_000) - 200_000, scan: s.id, kind: ticks})
}

// beacons sends those that are due: at once, or between the probes of the next tick.
func (s *scan) beacons(now int64, d *auto.Decision) {
	for _, t := range s.riding { // the tick was too short for them
		s.pace.fill(now)
		s.pace.spend(1)
		s.beacon(now, t)
	}
	s.targets = s.set.Next(s.targets[:0], now, d.Beacons)
	s.riding = s.riding[:0]
	s.Rater.Asked(now, len(s.targets))
	if d.Spread {
		s.riding = append(s.riding, s.targets...)
		s.every = d.Rate * 0.009 / float64(len(s.targets)+1)
		s.ride = s.every * s.dice.unit() * 2
		return
	}
	s.pace.fill(now)
	s.pace.spend(len(s.targets))
	for i, t := range s.targets {
		s.beacon(now+int64(i+1)*packetTime, t)
	}
}

// beacon sends one.
func (s *scan) beacon(at int64, t beacon.Target) {
	s.sent++
	s.result.Sent++
	s.result.Beacons++
	s.set.Sent(t, at)
	out, ok := s.net.neck.admit(s.leave(at))
	if !ok {
		return
	}
	if back, ok := s.net.trip(out, &s.dice); ok {
		s.net.events.push(event{at: back, pos: position(t), scan: s.id, kind: echoes})
	}
}
