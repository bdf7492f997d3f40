package scan

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// lossStats counts on which attempt positions were first answered, apart for groups that had
// different numbers of attempts, which is what the estimates of loss and of missed ports need.
//
// Receiver lanes add to the counters of a chunk while it is in flight; the schedule says how many
// attempts a chunk has had, and folds the chunk into the totals when its slot is taken again.
type lossStats struct {
	begin    uint64
	chunkLen uint64
	chunks   uint64      // that are kept apart
	ring     []chunkLoss // by chunk number modulo its length

	lost            atomic.Bool   // a first try was: a later attempt has been answered
	silent, retried atomic.Uint64 // positions of sampled chunks that were silent, and of their samples

	mu      sync.Mutex
	totals  attemptCounts // of chunks that have left the ring
	samples sampleCounts  // likewise
}

// lossRing chunks are kept apart: at 20 ms of sending each, more than a minute of answers.
const lossRing = 4096

type chunkLoss struct {
	// answered counts first answers by evidence (SYN-ACK, RST), divisor and attempt. The divisor is the
	// power of two that the position is a multiple of: it tells which samples the position is in,
	// before the chunk's sample is chosen.
	answered [2][maxStride + 1][maxAttempts]atomic.Uint32
	// history is what the chunk's positions have had, once it has had its time; 0 before.
	history atomic.Uint32
	_       uint32 // as in rawsock/xdp's memory, whose elements are multiples of 8 bytes
}

// packHistory puts probes (of the positions outside the sample) and stride (0: no sample) into a word.
func packHistory(c *chunk) uint32 {
	if !c.sampled {
		return uint32(c.probes) << 8
	}
	return uint32(c.probes)<<8 | uint32(c.stride)
}

func unpackHistory(word uint32) (probes, stride int) { return int(word >> 8), int(word & 0xff) }

// attemptCounts[evidence][attempts given] holds the first answers by attempt.
type attemptCounts [2][maxAttempts + 1][maxAttempts]uint64

func newLossStats(begin, chunkLen, positions uint64) *lossStats {
	l := &lossStats{begin: begin &^ (chunkLen - 1), chunkLen: chunkLen} // as chunks are
	l.chunks = min(lossRing, (begin-l.begin+positions+chunkLen-1)/chunkLen)
	l.use(make([]chunkLoss, l.chunks))
	return l
}

// use puts the counters into other memory, or gives up that of the programs before it goes: what the
// chunks hold is folded into the totals.
func (l *lossStats) use(ring []chunkLoss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.ring {
		l.ring[i].addTo(&l.totals)
		l.ring[i].addSample(&l.samples)
	}
	l.ring = ring
}

func (l *lossStats) chunk(pos uint64) *chunkLoss {
	return &l.ring[(pos-l.begin)/l.chunkLen%uint64(len(l.ring))]
}

// answer counts the first answer of a position. attempt counts from 0.
func (l *lossStats) answer(pos uint64, reason results.Reason, attempt uint8) {
	if reason != results.SYNACK && reason != results.RST {
		return // ICMP errors are rate-limited by their senders: they tell nothing about loss
	}
	if attempt > 0 {
		l.lost.Store(true)
	}
	evidence := 0
	if reason == results.RST {
		evidence = 1
	}
	divisor := min(bits.TrailingZeros64(pos), maxStride)
	l.chunk(pos).answered[evidence][divisor][attempt].Add(1)
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
	l.chunk(c.begin).history.Store(packHistory(c))
}

func (c *chunkLoss) addTo(t *attemptCounts) {
	probes, stride := unpackHistory(c.history.Load())
	if probes == 0 {
		return
	}
	for evidence := range c.answered {
		for divisor := range c.answered[evidence] {
			attempts := probes
			if stride > 0 && divisor >= stride {
				attempts++
			}
			for k := range attempts {
				t[evidence][attempts][k] += uint64(c.answered[evidence][divisor][k].Load())
			}
		}
	}
}

// addSample adds what the chunk's sample has shown.
func (c *chunkLoss) addSample(s *sampleCounts) {
	_, stride := unpackHistory(c.history.Load())
	if stride == 0 {
		return
	}
	for evidence := range c.answered {
		for divisor := range c.answered[evidence] {
			s.answered += uint64(c.answered[evidence][divisor][0].Load())
			if divisor >= stride {
				s.found += uint64(c.answered[evidence][divisor][1].Load())
			}
		}
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
	s.silent, s.retried = l.silent.Load(), l.retried.Load()
	return s
}

// found is how many of a chunk's sample answered when asked again.
func (l *lossStats) found(c *chunk) uint64 {
	var s sampleCounts
	l.chunk(c.begin).addSample(&s)
	return s.found
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
