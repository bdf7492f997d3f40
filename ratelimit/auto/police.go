package auto

import "math"

// police is how a path is followed that drops what is too much and delays nothing: the rate rises until more is lost, and what is not
// lost then is the capacity.
type police struct {
	since int64   // what was sent before has been judged
	from  int64   // when the look before that began
	step  float64 // how much faster than the capacity is sent
	cuts  int     // how often in a row the capacity was lowered
}

const (
	policeStep, policeMost = 0.05, 0.4
	// mostCuts in a row that have not ended a loss of vain have a trial follow: it may not be ours.
	mostCuts, vain = 3, 0.1
	// worth is the share lost from which on probes are worth being repeated for it: retries make up for less.
	worth = 0.2
	// policeLook outcomes are looked at together, sent within policeTime at least.
	policeLook, policeTime = 50, 0.3
)

func (p *police) factor() float64 { return 1 + p.step }

// begin says that the path is policed at a capacity that is known roughly.
func (p *police) begin(c *Controller, capacity float64) {
	c.capacity, c.vary, c.varyAt = capacity, 0.01, c.now
	c.policed, c.phase, c.model = true, Cruise, 0
	*p = police{since: c.now}
	c.conclude()
}

// judgePolice looks at what was sent since the last look.
func (c *Controller) judgePolice(alarmed bool) {
	p := &c.police
	known := c.answered()
	if seconds(known-p.since) < policeTime && !alarmed {
		return
	}
	f := c.samples.fit(p.since, known, c.floor())
	if f.asked < policeLook && seconds(known-p.since) < 3 && !(alarmed && f.asked > 15) {
		return
	}
	carried := c.history.over(p.since, known)
	share, err := f.dropped(c.loss.own)
	p.from, p.since = p.since, c.now
	switch {
	case share > 0.5*p.step/(1+p.step)+err || share > 0.02+2*err:
		if share > worth {
			c.over.add(p.from, c.now)
		}
		if p.cuts++; p.cuts > mostCuts && share > vain {
			c.try(carried, f.lost/f.asked, false)
			return
		}
		c.settle(carried*(1-share), max(err, 0.01))
		p.step = 0
	default:
		p.cuts = 0
		if carried < 0.9*c.paced || f.asked < policeLook {
			break
		}
		if p.step > 0 {
			c.capacity = math.Max(c.capacity, min(carried, c.cfg.Max))
		}
		p.step = min(max(2*p.step, policeStep), policeMost)
	}
	if c.capacity >= c.cfg.Max {
		p.step = 0
	}
	c.loss.reset(known)
}
