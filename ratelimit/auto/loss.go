package auto

import "math"

const (
	// priorLoss is taken for the loss that is not ours as long as nothing is known of it.
	priorLoss = 0.01
	// more is what is lost more in an overload, of what is not lost anyhow.
	more = 0.15
	// certain is how much the losses must say for that, in nats, and fewest how many there must be.
	certain, fewest = 10, 4
	// window is how many outcomes one look at the loss that is not ours takes, windows how many looks count.
	window, windows = 100, 8
)

// loss is what beacons lose: a CUSUM of the likelihood ratio of more loss against the loss that is not ours (Page, Biometrika 41, 1954).
type loss struct {
	own   float64 // share lost that is not ours
	since int64   // outcomes of what was sent before are not heard
	sum   float64 // nats
	begun int64   // when what began the run was sent
	run   tally   // since the sum was last 0

	look  tally
	looks [windows]tally
	n     int
}

type tally struct{ asked, lost float64 }

func (t *tally) add(lost bool) {
	t.asked++
	if lost {
		t.lost++
	}
}

// share of what was asked that was lost, where nothing asked says p.
func (t *tally) share(p float64) float64 { return (t.lost + p) / (t.asked + 1) }

// mostLoss is the largest share that can be lost where anything is to be learnt.
const mostLoss = 0.95

// upper is the share that was lost, one standard error above, from priorLoss to mostLoss.
func (t *tally) upper() float64 {
	p := t.share(priorLoss)
	return min(max(priorLoss, p+math.Sqrt(p*(1-p)/max(t.asked, 1))), mostLoss)
}

func (l *loss) reset(now int64) {
	l.since, l.sum, l.run, l.look = now, 0, tally{}, tally{}
}

func (l *loss) hear(sent int64, lost, late bool) {
	if sent <= l.since {
		return
	}
	if late { // it was told to be lost
		l.run.lost, l.look.lost = max(0, l.run.lost-1), max(0, l.look.lost-1)
		l.sum = max(0, l.sum-math.Log((l.own+more*(1-l.own))/l.own))
		return
	}
	p0 := l.own
	p1 := p0 + more*(1-p0)
	if lost {
		l.sum += math.Log(p1 / p0)
	} else {
		l.sum += math.Log((1 - p1) / (1 - p0))
	}
	if l.run.asked == 0 {
		l.begun = sent
	}
	l.run.add(lost)
	l.look.add(lost)
	if l.sum <= 0 {
		l.sum, l.run = 0, tally{}
	}
}

func (l *loss) alarm() bool { return l.sum >= certain && l.run.lost >= fewest }

// take takes what was lost in a trial for the loss that is not ours.
func (l *loss) take(t tally) {
	l.own = t.upper()
	l.looks[0], l.n = t, 1
}

// learn takes what was lost while no queue stood for the loss that is not ours.
func (l *loss) learn(c *Controller) {
	if c.policed || c.model > c.low() {
		l.look = tally{}
		return
	}
	if l.look.asked < window {
		return
	}
	l.looks[l.n%windows] = l.look
	l.n++
	l.look = tally{}
	var sum tally
	for i := range min(l.n, windows) {
		sum.asked += l.looks[i].asked
		sum.lost += l.looks[i].lost
	}
	l.own = sum.upper()
}
