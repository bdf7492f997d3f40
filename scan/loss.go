package scan

import (
	"sync"
	"sync/atomic"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// lossStats counts on which attempt positions were first answered, apart for groups that had
// different numbers of attempts, which is what the estimates of loss and of missed ports need.
//
// Receiver lanes add to the counters of a chunk while it is in flight; the sender lane says how many
// attempts a chunk has had, and folds the chunk into the totals when its slot is taken again.
type lossStats struct {
	begin    uint64
	chunkLen uint64
	ring     []chunkLoss // by chunk number modulo its length

	retried atomic.Uint64 // positions of samples that were asked again

	mu      sync.Mutex
	totals  attemptCounts // of chunks that have left the ring
	samples sampleCounts  // likewise
}

// lossRing chunks are kept apart: at 20 ms of sending each, more than a minute of answers.
const lossRing = 4096

type chunkLoss struct {
	// answered counts first answers by evidence (SYN-ACK, RST), membership of the sample, and attempt.
	answered [2][2][maxAttempts]atomic.Uint32
	history  atomic.Uint32 // probes<<1 | sampled, once these attempts have had their time; 0 before
}

// attemptCounts[evidence][attempts given] holds the first answers by attempt.
type attemptCounts [2][maxAttempts + 1][maxAttempts]uint64

func newLossStats(begin, chunkLen, positions uint64) *lossStats {
	n := min(lossRing, (positions+chunkLen-1)/chunkLen)
	return &lossStats{begin: begin, chunkLen: chunkLen, ring: make([]chunkLoss, n)}
}

func (l *lossStats) chunk(pos uint64) *chunkLoss {
	return &l.ring[(pos-l.begin)/l.chunkLen%uint64(len(l.ring))]
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// answer counts the first answer of a position. attempt counts from 0.
func (l *lossStats) answer(pos uint64, reason results.Reason, attempt uint8) {
	if reason != results.SYNACK && reason != results.RST {
		return // ICMP errors are rate-limited by their senders: they tell nothing about loss
	}
	l.chunk(pos).answered[b2i(reason == results.RST)][b2i(inSample(pos))][attempt].Add(1)
}

// open begins a chunk: what its slot held before goes to the totals.
func (l *lossStats) open(begin uint64) {
	c := l.chunk(begin)
	l.mu.Lock()
	defer l.mu.Unlock()
	c.addTo(&l.totals)
	c.addSample(&l.samples)
	c.history.Store(0)
	for i := range c.answered {
		for j := range c.answered[i] {
			for k := range c.answered[i][j] {
				c.answered[i][j][k].Store(0)
			}
		}
	}
}

// settle notes what attempts a chunk has had.
func (l *lossStats) settle(c *chunk) {
	l.chunk(c.begin).history.Store(uint32(c.probes)<<1 | uint32(b2i(c.sampled)))
}

func (c *chunkLoss) addTo(t *attemptCounts) {
	history := c.history.Load()
	if history == 0 {
		return
	}
	for evidence := range c.answered {
		for sample := range c.answered[evidence] {
			attempts := int(history>>1) + int(history&1)*sample
			for k := range attempts {
				t[evidence][attempts][k] += uint64(c.answered[evidence][sample][k].Load())
			}
		}
	}
}

// addSample adds what the chunk's sample has shown.
func (c *chunkLoss) addSample(s *sampleCounts) {
	if c.history.Load()&1 == 0 {
		return
	}
	for evidence := range c.answered {
		s.answered += uint64(c.answered[evidence][0][0].Load() + c.answered[evidence][1][0].Load())
		s.found += uint64(c.answered[evidence][1][1].Load())
	}
}

// sampled is what all samples so far have shown.
func (l *lossStats) sampled() sampleCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.samples
	for i := range l.ring {
		l.ring[i].addSample(&s)
	}
	s.retried = l.retried.Load()
	return s
}

// found is how many of the sample of the chunk at begin answered when asked again.
func (l *lossStats) found(begin uint64) (n uint32) {
	c := l.chunk(begin)
	for evidence := range c.answered {
		n += c.answered[evidence][1][1].Load()
	}
	return n
}

// counts are the totals with the chunks still in the ring.
func (l *lossStats) counts() attemptCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.totals
	for i := range l.ring {
		l.ring[i].addTo(&t)
	}
	return t
}

// enoughOpen is how many open ports make an estimate of their own. Hosts limit the rate of their
// resets, which looks like loss, so resets are only taken into account where SYN-ACKs are few.
const enoughOpen = 200

// groups are the counts as the estimator wants them: those that tell of loss, and the open ones.
func (t *attemptCounts) groups() (loss, open []estimate.Group) {
	var opens uint64
	for attempts := range t[0] {
		for _, n := range t[0][attempts] {
			opens += n
		}
	}
	for attempts := 1; attempts <= maxAttempts; attempts++ {
		both := estimate.Group{Attempts: attempts, Answered: make([]uint64, attempts)}
		synAck := estimate.Group{Attempts: attempts, Answered: make([]uint64, attempts)}
		var total uint64
		for k := range attempts {
			synAck.Answered[k] = t[0][attempts][k]
			both.Answered[k] = t[0][attempts][k] + t[1][attempts][k]
			total += both.Answered[k]
		}
		if total == 0 {
			continue
		}
		open = append(open, synAck)
		loss = append(loss, both)
	}
	if opens >= enoughOpen {
		loss = open
	}
	return loss, open
}
