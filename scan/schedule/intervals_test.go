package schedule

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/estimate"
	"synoptic/scan/permute"
)

var intervalsFlag = flag.Int("intervals", 0, "judge the intervals of missed ports by so many scans of each cell; 0: by a few scans of some cells")

// population is who is there: shares of open and of closed positions.
type population struct {
	name         string
	positions    uint64
	open, closed float64
}

var populations = []population{
	{"all answer", 1 << 13, 1, 0},
	{"97 % answer", 1 << 13, 0.97, 0},
	{"1 % open, 30 % closed", 1 << 13, 0.01, 0.3},
	{"500, all answer", 500, 1, 0},
	{"500, 5 % answer", 500, 0.05, 0},
}

// cell is a kind of scan, of which many are played.
type cell struct {
	retries int
	recall  float64 // instead of retries
	loss    float64 // each way
	who     population
	rate    float64
	cut     bool // stopped at a random time
}

// policy is what the scan was told, in words.
func (c cell) policy() string {
	policy := fmt.Sprintf("retries %d", c.retries)
	if c.recall > 0 {
		policy = fmt.Sprintf("recall %v", c.recall)
	}
	if c.cut {
		policy += ", cut"
	}
	return policy
}

func (c cell) String() string {
	return fmt.Sprintf("%s | %g %% | %s | %gk", c.policy(), 100*c.loss, c.who.name, c.rate/1000)
}

// answer is one on its way.
type answer struct {
	at      time.Duration
	pos     uint64
	attempt uint8
}

// played is a scan without a network: the real schedule, result map and counters, a clock that moves with the rate,
// and answers that take their time.
type played struct {
	cell
	rng    *rand.Rand
	rtt    time.Duration
	reason []results.Reason // by position; none where nobody is
	m      *window.Map
	loss   *Loss
	now    time.Duration
	coming []answer // in order
	arrive func(pos uint64, attempt uint8) bool
}

// play runs a scan and returns how many open ports it missed.
func (c cell) play(seed uint64) (missed uint64, counts estimate.Counts) {
	p := &played{cell: c, rng: rand.New(rand.NewPCG(seed, 10)), reason: make([]results.Reason, c.who.positions)}
	p.rtt = time.Duration(1+p.rng.IntN(60)) * time.Millisecond
	for i := range p.reason {
		switch x := p.rng.Float64(); {
		case x < c.who.open:
			p.reason[i] = results.SYNACK
		case x < c.who.open+c.who.closed:
			p.reason[i] = results.RST
		}
	}
	lost := 1 - (1-c.loss)*(1-c.loss)
	p.arrive = func(uint64, uint8) bool { return p.rng.Float64() >= lost }
	return p.run()
}

func (p *played) run() (missed uint64, counts estimate.Counts) {
	n := p.who.positions
	var err error
	if p.m, err = window.New(0, n, 1<<20); err != nil {
		panic(err)
	}
	const gap = 250 * time.Millisecond
	chunkLen := ChunkLen(p.rate, p.m.Reach(), false)
	p.loss = NewLoss(0, chunkLen, n, p.m.Reach(), p.m.CountSilent)
	var policy Policy = FixedRetries{uint8(p.retries), p.loss}
	if p.recall > 0 {
		policy = TargetRecall{p.recall, p.loss}
	}
	s := New(Config{
		Positions: permute.Range{End: n}, ChunkLen: chunkLen, Reach: p.m.Reach(), Policy: policy,
		Gap: func() time.Duration { return gap }, Silent: func(begin, end uint64) uint64 { return p.m.CountSilent(begin, end, 0) },
	})
	stop := time.Hour
	if p.cut {
		sending := time.Duration(float64(n) / p.rate * float64(time.Second))
		stop = time.Duration(p.rng.Float64() * float64(sending+2*gap))
	}
	asked := p.send(s, stop)
	heardBy := p.now
	if p.cut {
		heardBy -= max(20*time.Millisecond, 4*p.rtt) // as the engine's
	} else {
		p.now += time.Second
		p.listen()
		heardBy = p.now
	}
	p.loss.End(epoch.Add(heardBy))
	p.m.Silent(0, asked, func(pos uint64) bool {
		if p.reason[pos] == results.SYNACK {
			missed++
		}
		return true
	})
	return missed, p.loss.Counts(time.Time{})
}

// send takes passes until all is sent, or until the stop, and returns up to where first tries have come.
func (p *played) send(s *Schedule, stop time.Duration) (asked uint64) {
	due := make([]uint64, 0, 64)
	for {
		pass, wait := s.Next(epoch.Add(p.now))
		if pass == nil {
			if p.now >= stop || wait < 0 {
				return asked
			}
			p.now += max(wait, time.Millisecond)
			p.listen()
			continue
		}
		if pass.Begins() {
			p.loss.Open(pass.Begin)
			p.m.Advance(pass.End, nil)
		}
		for {
			if p.now >= stop {
				if pass.First {
					pass.Rest(func(pos uint64) { p.m.Mark(pos, results.Unknown) })
				}
				return asked
			}
			if due = pass.Collect(p.m, due[:0]); len(due) == 0 {
				break
			}
			pass.Walked(due)
			for _, pos := range due {
				attempt := pass.Attempt(pos)
				if p.reason[pos] != results.ReasonNone && p.arrive(pos, attempt) {
					p.coming = append(p.coming, answer{p.now + p.rtt, pos, attempt})
				}
			}
			if pass.First {
				asked = pass.Cursor
			}
			p.now += time.Duration(float64(len(due)) / p.rate * float64(time.Second))
			p.listen()
		}
		s.Finish(pass, epoch.Add(p.now))
	}
}

// listen takes the answers that have come.
func (p *played) listen() {
	i := 0
	for ; i < len(p.coming) && p.coming[i].at <= p.now; i++ {
		a := &p.coming[i]
		reason := p.reason[a.pos]
		if old, ok := p.m.Mark(a.pos, reason.State()); ok && old == 0 {
			p.loss.Answer(a.pos, reason, a.attempt)
		}
	}
	p.coming = p.coming[i:]
}

// judged is what many scans of a cell have shown.
type judged struct {
	scans, inside, below, above int // below: the truth lies below the interval
	void                        map[estimate.Void]int
	widths                      []float64
}

// share is how often the truth lies inside, of the scans that said something.
func (j *judged) share() float64 { return float64(j.inside) / float64(max(len(j.widths), 1)) }

// silent is how many scans said nothing, and right so.
func (j *judged) silent() int { return j.void[estimate.NoAnswers] + j.void[estimate.SingleAttempt] }

func (j *judged) width() float64 {
	if len(j.widths) == 0 {
		return 0
	}
	slices.Sort(j.widths)
	return j.widths[len(j.widths)/2]
}

func (c cell) judge(scans int) *judged {
	j := &judged{scans: scans, void: map[estimate.Void]int{}}
	for seed := range uint64(scans) {
		missed, counts := c.play(seed)
		r := estimate.Of(&counts)
		truth := float64(missed)
		switch {
		case r.Void != estimate.None:
			j.void[r.Void]++
			continue
		case truth < r.Missed.Low:
			j.below++
		case truth > r.Missed.High:
			j.above++
		default:
			j.inside++
		}
		j.widths = append(j.widths, r.Missed.High-r.Missed.Low)
	}
	return j
}

// cells are all kinds of scan under a policy that intervals are judged by.
func cells(policy cell) (all []cell) {
	for _, who := range populations {
		for _, loss := range []float64{0.01, 0.05, 0.2} {
			for _, rate := range []float64{1e3, 10e3, 60e3, 1e6} {
				c := policy
				c.who, c.loss, c.rate = who, loss, rate
				all = append(all, c)
			}
		}
	}
	return all
}

// The 95 % interval holds the true number of missed open ports in at least 93 % of the scans of every cell.
func TestIntervalsHold(t *testing.T) {
	for _, cut := range []bool{false, true} {
		for retries := range 4 {
			intervalsHold(t, cell{retries: retries, cut: cut})
		}
		for _, recall := range []float64{0.99, 0.999} {
			intervalsHold(t, cell{recall: recall, cut: cut})
		}
	}
}

func intervalsHold(t *testing.T, policy cell) {
	t.Run(policy.policy(), func(t *testing.T) {
		all, scans := cells(policy), *intervalsFlag
		if scans == 0 {
			scans = 20
			all = []cell{all[(policy.retries+1)*17%len(all)]}
		}
		verdicts := make([]*judged, len(all))
		next := make(chan int)
		var working sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			working.Go(func() {
				for i := range next {
					verdicts[i] = all[i].judge(scans)
				}
			})
		}
		for i := range all {
			next <- i
		}
		close(next)
		working.Wait()
		for i, c := range all {
			c.check(t, verdicts[i])
		}
	})
}

// check holds what a cell has shown against what is promised of it.
func (c cell) check(t *testing.T, j *judged) {
	void := j.scans - len(j.widths) - j.silent()
	least := 0.93 * float64(len(j.widths))
	if j.scans < 500 {
		least -= math.Sqrt(least) // a few scans show only what is quite wrong
	}
	t.Logf("| %s | %.3f | %g | %d below, %d above, %d silent, %d void |", c, j.share(), j.width(), j.below, j.above, j.silent(), void)
	if float64(j.inside) < least {
		t.Errorf("%s: inside in %d of %d", c, j.inside, len(j.widths))
	}
	if float64(void) > 0.01*float64(j.scans)+1 {
		t.Errorf("%s: the model does not fit in %v of %d", c, j.void, j.scans)
	}
	switch {
	case c.cut: // before anything was asked twice, nothing is known
	case c.retries == 0 && c.recall == 0:
		if j.void[estimate.SingleAttempt] < j.scans*9/10 { // the others had no silence, or nothing but
			t.Errorf("%s: single attempts tell something in %d of %d: %v", c, len(j.widths), j.scans, j.void)
		}
	case j.silent() > j.scans/50:
		t.Errorf("%s: nothing said in %v of %d", c, j.void, j.scans)
	}
}
