package backoff

import "math"

// drift watches the share of refusals that a pair tells of, by a CUSUM (Page 1954): what each answer says for a share at which a quarter
// of the others is left, against the one so far. Where that sum is at zero, all before is what later answers are compared with.
type drift struct {
	base  sample // all before begin, but for surges
	begin int64  // since when what is counted may be a surge; 0: nothing is looked at yet
	start sample // what had been counted then
	newer sample // and by the last look
	says  float64
}

// restart begins anew: what was counted since the last look is forgotten.
func (d *drift) restart() { d.begin = 0 }

// absorb takes all that was counted until now for ordinary.
func (d *drift) absorb(seen *sample, now int64) {
	past := seen.minus(&d.start)
	d.base.add(&past)
	d.begin, d.start, d.says = now, *seen, 0
}

// look takes in what has been counted up to now, and tells whether the prefix has begun to refuse what it is sent. due of the probes sent
// must have been answered by now.
func (d *drift) look(p *pair, seen *sample, due float64, now int64) *slow {
	if d.begin == 0 {
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
	if d.says <= 0 {
		d.absorb(seen, now)
		return nil
	}
	span := seen.minus(&d.start)
	is, good := p.share(&span), p.good(&span)
	each := p.good(&d.base) / max(d.base.sent, 1) // probe
	expected, most := each*max(due-d.start.sent, 0), each*span.sent
	switch {
	case p.bad(&span)+good >= enoughAnswers && is < mostly, !p.beacons && most >= vanishing && good > fewer*most:
		d.absorb(seen, now) // another mixture, and no surge
	case d.says < surely, is < mostly, p.beacons && span.kinds[TurnedNew] < leastTurned, !p.beacons && !vanished(good, expected):
	default:
		return &slow{reason: p.reason, pair: p, was: was, is: is, full: rate(&span, now-d.begin), begun: d.begin}
	}
	return nil
}
