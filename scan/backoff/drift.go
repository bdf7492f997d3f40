package backoff

import "math"

// drift watches the share of refusals that a pair tells of, by a CUSUM (Page 1954): what each answer says for a share at which a quarter
// of the others is left, against the share so far. Where that sum is at zero, or what has come is a new mixture and no surge, all before is what
// later answers are compared with.
type drift struct {
	base  sample // all before begin, but for surges
	begin int64  // since when what is counted may be a surge; 0: nothing is looked at yet, and all that has come is before it
	start sample // what had been counted then,
	newer sample // and by the last look
	says  float64
}

// anew is begin where what was counted since is forgotten.
const anew = -1

// restart begins anew: what was counted since begin is forgotten, for it was a surge.
func (d *drift) restart() { d.begin = anew }

// absorb takes all that was counted until now for ordinary.
func (d *drift) absorb(seen *sample, now int64) {
	past := seen.minus(&d.start)
	d.base.add(&past)
	d.begin, d.start, d.says = now, *seen, 0
}

// look takes in what has been counted up to now, and tells whether the prefix has begun to refuse what it is sent. due of the probes sent
// must have been answered by now.
func (d *drift) look(p *pair, seen *sample, due float64, now int64) *slow {
	switch d.begin {
	case 0:
		d.newer = *seen
		d.absorb(seen, now)
		return nil
	case anew:
		d.begin, d.start, d.newer, d.says = now, *seen, *seen, 0
	}
	lately := seen.minus(&d.newer)
	d.newer = *seen
	if p.good(&d.base) < leastBase {
		d.absorb(seen, now)
		return nil
	}
	was := p.share(&d.base)
	left := (1 - was) * fewer
	d.says += p.good(&lately)*math.Log(fewer) + p.bad(&lately)*math.Log((1-left)/was)
	span := seen.minus(&d.start)
	is := p.share(&span)
	if d.says <= 0 || d.ordinary(p, &span, is) {
		d.absorb(seen, now)
		return nil
	}
	if d.says < surely || is < mostly || !d.gone(p, &span, due) {
		return nil // not known yet
	}
	return &slow{reason: p.reason, pair: p, was: was, is: is, begun: d.begin}
}

// ordinary tells that what has come since begin is another mixture than before, and no surge. is is its share of refusals.
func (d *drift) ordinary(p *pair, span *sample, is float64) bool {
	enough := p.bad(span)+p.good(span) >= enoughAnswers
	switch {
	case enough && is < mostly:
		return true
	case p.beacons: // one service or two that have ended
		return enough && span.kinds[TurnedNew] < leastTurned
	}
	most := p.good(&d.base) * span.sent / max(d.base.sent, 1)
	return most >= vanishing && p.good(span) > fewer*most
}

// gone tells whether there are too few of the other answers.
func (d *drift) gone(p *pair, span *sample, due float64) bool {
	if p.beacons {
		return span.kinds[TurnedNew] >= leastTurned
	}
	return vanished(p.good(span), p.good(&d.base)*max(due-d.start.sent, 0)/max(d.base.sent, 1))
}
