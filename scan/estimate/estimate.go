// Package estimate says how much a scan lost and how many open ports it missed. Call Of with what was counted.
//
// It is a removal design (Zippin, Biometrics 12(2), 1956; Otis et al., Wildlife Monographs 62, 1978, the special
// case of capture–recapture in which what was caught is not caught again): a position that would answer is silent
// to each attempt with the two-way loss p, and is asked again only while it is silent. First answers then fall off
// as 1, p, p², … over the attempts. A share d of the positions would never answer. Of (p, d) there is a posterior
// given all that was counted, silence included, and of it the distribution of what was missed.
//
// docs/accuracy.md has the derivation, and what the figures mean where losses are not independent.
package estimate

// MaxAttempts is how many attempts are told apart.
const MaxAttempts = 16

// Kinds of answers.
const (
	Open   = iota // SYN-ACK
	Closed        // RST
)

// Counts are of positions that were asked. Positions that were answered by ICMP are none of them: their silence is
// over, and the answer tells nothing of loss.
type Counts struct {
	// Answered counts first answers by kind and attempt (from 0), to attempts that have been listened to.
	Answered [2][MaxAttempts]uint64
	// Silent counts the positions that stayed silent to so many attempts, all that were listened to. They may have
	// been asked once more, and have answered since.
	Silent [MaxAttempts + 1]uint64
	// Left are those of Silent that are not asked again.
	Left [MaxAttempts + 1]Left
}

// Left are positions that nobody will ask again: what was open among the silent ones is missed.
type Left struct {
	Silent uint64
	Late   [2]uint64 // that answered to a last attempt, by kind; it has not been listened to long enough
}

// Interval is an estimate and its 95 % interval, Low ≤ Value ≤ High.
type Interval struct {
	Value, Low, High float64
}

// Void is why there are no intervals.
type Void string

// The reasons.
const (
	None          Void = ""
	NoAnswers     Void = "no-answers"     // nothing has answered
	SingleAttempt Void = "single-attempt" // no silence was asked a second time
	FirstAttempts Void = "first-attempts" // first attempts fail more often than later ones: more than loss is at work
	LastingLoss   Void = "lasting-loss"   // what fails once fails again: losses last longer than the gap between attempts
	FirstContacts Void = "first-contacts" // said by who asks: first probes get lost where later ones do not (FewerContacts, StillFound)
	Unmeasured    Void = "unmeasured"     // the same: the kernel asks again by itself, so that nobody knows which attempt was answered
	EvidenceLost  Void = "evidence-lost"  // the same: positions are unknown, and what is not known of them may be missed
)

// Result is what can be said: both intervals, or why there are none.
type Result struct {
	// Loss is the two-way loss p, in [0, 1].
	Loss Interval
	// Missed is the number of open ports among the positions left. Its interval is one for the true count, not for
	// its expectation.
	Missed Interval
	// Answers is how many positions have given the answers that Loss is of.
	Answers float64
	Void    Void
}

// tail is what lies beyond each end of an interval: less than 2.5 %, which leaves room for the approximations here.
const tail = 0.02

// enoughOpen is how many open ports make an estimate of their own. Hosts limit the rate of their resets, which
// looks like loss, so resets are only taken into account where SYN-ACKs are few.
const enoughOpen = 200

// Of says what follows of counts.
func Of(c *Counts) Result { return OfPart(c, 1) }

// OfPart is Of for one of so many parts of a scan, which Sum puts together: its intervals are those that leave each end a
// chance that is smaller by so many.
func OfPart(c *Counts, parts int) Result {
	m, void := c.model()
	if void != None {
		return Result{Void: void}
	}
	post := m.posterior()
	if void = c.misfit(m, post); void != None {
		return Result{Void: void}
	}
	beyond := tail / float64(parts)
	return Result{Loss: post.lossInterval(beyond), Missed: post.missed(beyond), Answers: m.n}
}

// LossUpTo is the upper end of the loss, whether the model holds or not; 1 where nothing is known.
func LossUpTo(c *Counts) float64 {
	m, void := c.model()
	if void != None {
		return 1
	}
	return m.posterior().lossInterval(tail).High
}

// model is the one that the counts allow.
func (c *Counts) model() (*model, Void) {
	open, closed := tallyOf(&c.Answered[Open]), tallyOf(&c.Answered[Closed])
	both := open.plus(closed)
	switch {
	case both.n == 0:
		return nil, NoAnswers
	case !c.askedTwice() && c.silence():
		return nil, SingleAttempt
	case open.n > 0 && (open.n >= enoughOpen || !alike(open, closed)):
		return newModel(c, open, c.asideOf(open, closed)), None
	}
	m := newModel(c, both, aside{})
	m.thinned, m.open, m.closed = true, open.n, closed.n
	return m, None
}

// askedTwice tells whether silence was asked again.
func (c *Counts) askedTwice() bool {
	for k := 2; k <= MaxAttempts; k++ {
		if c.Silent[k] > 0 || c.Answered[Open][k-1] > 0 || c.Answered[Closed][k-1] > 0 {
			return true
		}
	}
	return false
}

// silence tells whether any position is or was silent.
func (c *Counts) silence() bool { return c.Silent != [MaxAttempts + 1]uint64{} }

// tally is what is sufficient of answers: how many, how many attempts were lost before them, and the sum of the
// squares of these.
type tally struct{ n, lost, squares float64 }

func tallyOf(answered *[MaxAttempts]uint64) (t tally) {
	for i, a := range answered {
		n := number(a)
		t.n += n
		t.lost += float64(i) * n
		t.squares += float64(i*i) * n
	}
	return t
}

// number is a count, or 2^50 where it is more: no scan has so many positions, and further digits are lost here.
func number(count uint64) float64 { return float64(min(count, 1<<50)) }

func (t tally) plus(u tally) tally { return tally{t.n + u.n, t.lost + u.lost, t.squares + u.squares} }
