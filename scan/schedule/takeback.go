package schedule

import "time"

// before is a pass that a chunk has had, and the chunk's state before it.
type before struct {
	begun, ended   time.Time
	passes, probes uint8
	sampled        bool
	stride         uint8
}

// remember notes the pass that ends now, before the chunk counts it.
func (c *Chunk) remember(begun, ended time.Time) {
	c.past = append(c.past, before{begun, ended, c.Passes, c.Probes, c.Sampled, c.Stride})
}

// takeBack goes back to before the passes that ended after since; false where there is none.
func (c *Chunk) takeBack(since time.Time) (back bool) {
	for n := len(c.past) - 1; n >= 0 && c.past[n].ended.After(since); n-- {
		b := &c.past[n]
		c.Passes, c.Probes, c.Sampled, c.Stride = b.passes, b.probes, b.sampled, b.stride
		c.past = c.past[:n]
		back = true
	}
	return back
}

// Asked says when the positions of a chunk were asked.
type Asked struct {
	Begin, End uint64
	Passes     []Span // in order
}

// Span is when a pass over a chunk was made.
type Span struct{ Begun, Ended time.Time }

// TakeBack says that what was sent since a time, up to now, has not travelled: it counts as not sent, and the positions
// that have not answered are asked again with the same attempt numbers. Passes in flight are walked to their end;
// Interrupted tells how far they had come. It returns how many positions of other chunks are asked again.
func (s *Schedule) TakeBack(since, now time.Time) (again uint64) {
	for _, p := range s.aloft {
		if !p.taken {
			p.taken, p.since, p.redo = true, since, 0
		}
		p.since, p.redo = earlier(p.since, since), max(p.redo, p.End)
		if p.End < p.full && p.Since.After(since) { // the pass before it, which asked the rest, was not over
			p.redo = p.full
		}
	}
	s.stuck = 0
	for _, p := range s.parked { // in nobody's hands
		if again += s.Interrupted(p); p.stuck() {
			s.stuck++
		}
	}
	var back []Chunk
	take := func(q *chunks) {
		var kept chunks
		for c := q.front(); c != nil; c = q.front() {
			q.pop()
			if n := len(c.past); n > 0 && c.past[n-1].ended.After(since) {
				back = append(back, *c)
			} else {
				kept.push(*c)
			}
		}
		*q = kept
	}
	for i := range s.queues {
		take(&s.queues[i])
	}
	for i := s.queues[0].head; i < len(s.queues[0].all); i++ {
		if c := &s.queues[0].all[i]; c.Since.After(since) {
			again += s.Silent(c.until, c.End)
			c.until = c.End
		}
	}
	take(&s.deferred)
	take(&s.settling)
	for i := range back {
		c := &back[i]
		again += s.Silent(c.Begin, c.End)
		c.takeBack(since)
		s.Policy.TakenBack(c)
		s.wait(c, now)
	}
	return again
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// wait puts a chunk whose pass was taken back where it is asked again.
func (s *Schedule) wait(c *Chunk, now time.Time) {
	c.Since, c.Repeated = now, true
	if c.Passes == 0 {
		c.anew, c.until = All, c.End
	}
	s.queues[c.Passes].push(*c)
}

// Interrupted says of a pass that was in flight during TakeBack that it goes on from its cursor: what lies
// before is to be asked again. Without it, all of the pass is. It returns how many positions that are.
func (s *Schedule) Interrupted(p *Pass) (again uint64) {
	if !p.taken {
		return 0
	}
	if c := p.Chunk; c.takeBack(p.since) { // the passes before it have not travelled either
		p.End, p.redo = p.Cursor, p.full
	}
	if p.redo > p.End {
		p.End = p.Cursor // what it has not come to is asked with the rest
	} else {
		p.redo = p.Cursor
	}
	return s.Silent(p.Begin, p.redo)
}

// repeat ends a pass of which a part is to be asked anew.
func (s *Schedule) repeat(p *Pass, now time.Time) {
	c := &p.Chunk
	c.End, c.Since, c.Repeated = p.full, now, true
	if s.free = append(s.free, p); c.takeBack(p.since) {
		s.Policy.TakenBack(c)
		s.wait(c, now)
		return
	}
	c.anew, c.until = p.Step, p.redo
	s.queues[0].push(*c)
}

// anew hands out a pass in the place of one that was taken back.
func (s *Schedule) anew(now time.Time) *Pass {
	c := s.queues[0].front()
	if c == nil {
		return nil
	}
	s.queues[0].pop()
	p := s.launch(*c, c.anew, now)
	p.End = c.until
	return p
}

// settle ends a chunk that gets no further pass, once it is known that what was sent has travelled.
func (s *Schedule) settle(c Chunk) {
	if s.Trusted != nil {
		s.settling.push(c)
		return
	}
	s.done(&c)
}

// confirm ends the chunks whose last pass is known to have travelled, and to have been worth something.
func (s *Schedule) confirm(now time.Time) {
	c := s.settling.front()
	if c == nil {
		return
	}
	trusted := s.Trusted()
	for ; c != nil && !c.Since.After(trusted); c = s.settling.front() {
		if s.asking = *c; s.worthless(&s.asking) {
			s.settling.pop()
			s.again(&s.asking, now)
			continue
		}
		s.done(c)
		s.settling.pop()
	}
}

func (s *Schedule) worthless(c *Chunk) bool {
	return s.Worthless != nil && !c.worthless && len(c.past) > 0 && s.Silent(c.Begin, c.End) > 0 && s.Worthless(c.spans())
}

// again has the last pass over a chunk made anew.
func (s *Schedule) again(c *Chunk, now time.Time) {
	s.tellTwice(c)
	c.worthless = true
	c.takeBack(c.past[len(c.past)-1].ended.Add(-1))
	s.Policy.TakenBack(c)
	s.wait(c, now)
}

func (s *Schedule) done(c *Chunk) {
	s.tellTwice(c)
	if s.Settled != nil {
		s.Settled(Asked{Begin: c.Begin, End: c.End, Passes: c.spans()})
	}
	s.retire(c)
}

// tellTwice tells of a chunk that has had two passes.
func (s *Schedule) tellTwice(c *Chunk) {
	if s.Twice != nil && c.Passes == 2 && !c.Sampled && !c.worthless {
		s.Twice(c.Begin, Span{c.past[0].begun, c.past[0].ended})
	}
}

func (c *Chunk) spans() []Span {
	all := make([]Span, 0, len(c.past))
	for i := range c.past {
		all = append(all, Span{c.past[i].begun, c.past[i].ended})
	}
	return all
}

// Unasked calls f for the runs of positions that were walked, and of which the silent ones were never asked while
// evidence held: of chunks whose first pass was taken back. It is for the end of a scan that is stopped.
func (s *Schedule) Unasked(f func(begin, end uint64)) {
	for c := s.queues[0].front(); c != nil; c = s.queues[0].front() {
		if c.Passes == 0 {
			f(c.Begin, c.until)
		}
		s.queues[0].pop()
	}
}

// Unasked is the run of positions of a pass that were walked and, where silent, never asked while evidence held.
func (p *Pass) Unasked() (begin, end uint64) {
	c := p.Chunk
	switch back := p.taken && c.takeBack(p.since); {
	case c.Passes > 0:
		return 0, 0
	case back:
		return p.Begin, p.full
	case p.taken:
		return p.Begin, max(min(p.redo, p.Cursor), p.Begin)
	case !p.First:
		return p.Cursor, p.End
	}
	return 0, 0
}
