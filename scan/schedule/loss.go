package schedule

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// Loss counts on which attempt positions were first answered, apart for groups that had
// different numbers of attempts, which is what the estimates of loss and of missed ports need.
//
// Receiver lanes add to the counters of a chunk while it is in flight; the schedule says how many
// attempts a chunk has had, and folds the chunk into the totals when its slot is taken again. All methods
// may be called by several goroutines at once.
type Loss struct {
	begin    uint64
	chunkLen uint64
	chunks   uint64      // that are kept apart
	ring     []ChunkLoss // by chunk number modulo its length

	lost            atomic.Bool   // a first try: a later attempt has been answered
	silent, retried atomic.Uint64 // positions of sampled chunks that were silent, and of their samples

	mu      sync.Mutex
	totals  Counts  // of chunks that have left the ring
	samples samples // likewise
}

// lossRing chunks are kept apart: at 20 ms of sending each, more than a minute of answers.
const lossRing = 4096

// ChunkLoss are the counters of one chunk. Its layout is struct chunk_loss of rawsock/xdp/bpf/results.h.
type ChunkLoss struct {
	// answered counts first answers by evidence (SYN-ACK, RST), divisor and attempt. The divisor is the
	// power of two that the position is a multiple of: it tells which samples the position is in,
	// before the chunk's sample is chosen.
	answered [2][MaxStride + 1][MaxAttempts]atomic.Uint32
	// history is what the chunk's positions have had, once it has had its time; 0 before.
	history atomic.Uint32
	_       uint32 // as in rawsock/xdp's memory, whose elements are multiples of 8 bytes
}

// packHistory puts probes (of the positions outside the sample) and stride (0: no sample) into a word.
func packHistory(c *Chunk) uint32 {
	if !c.Sampled {
		return uint32(c.Probes) << 8
	}
	return uint32(c.Probes)<<8 | uint32(c.Stride)
}

func unpackHistory(word uint32) (probes, stride int) { return int(word >> 8), int(word & 0xff) }

// Counts holds the first answers by evidence (SYN-ACK, RST), attempts given and attempt that was answered.
type Counts [2][MaxAttempts + 1][MaxAttempts]uint64

// NewLoss counts for so many positions from begin, in chunks of chunkLen.
func NewLoss(begin, chunkLen, positions uint64) *Loss {
	l := &Loss{begin: begin &^ (chunkLen - 1), chunkLen: chunkLen} // as chunks are
	l.chunks = min(lossRing, (begin-l.begin+positions+chunkLen-1)/chunkLen)
	l.Use(make([]ChunkLoss, l.chunks))
	return l
}

// Use puts the counters into other memory, or gives up that of the programs before it goes: what the
// chunks hold is folded into the totals.
func (l *Loss) Use(ring []ChunkLoss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.ring {
		l.ring[i].addTo(&l.totals)
		l.ring[i].addSample(&l.samples)
	}
	l.ring = ring
}

func (l *Loss) chunk(pos uint64) *ChunkLoss {
	return &l.ring[(pos-l.begin)/l.chunkLen%uint64(len(l.ring))]
}

// Answer counts the first answer of a position. attempt counts from 0.
func (l *Loss) Answer(pos uint64, reason results.Reason, attempt uint8) {
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
	divisor := min(bits.TrailingZeros64(pos), MaxStride)
	l.chunk(pos).answered[evidence][divisor][attempt].Add(1)
}

// Open begins a chunk: what its slot held before goes to the totals.
func (l *Loss) Open(begin uint64) {
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

// Shape is where the chunks begin, how long each is (a power of two), and how many are kept apart, for who
// counts in memory of its own.
func (l *Loss) Shape() (begin, chunkLen, chunks uint64) { return l.begin, l.chunkLen, l.chunks }

// Lost tells whether a first try was lost: a later attempt has been answered.
func (l *Loss) Lost() bool { return l.lost.Load() }

// SawLoss says so, for who counts in memory of its own.
func (l *Loss) SawLoss() { l.lost.Store(true) }

// Retried counts positions of a sample that were asked again.
func (l *Loss) Retried(n uint64) { l.retried.Add(n) }

// settle notes what attempts a chunk has had.
func (l *Loss) settle(c *Chunk) {
	l.chunk(c.Begin).history.Store(packHistory(c))
}

// unsettle takes settle back.
func (l *Loss) unsettle(c *Chunk) { l.chunk(c.Begin).history.Store(0) }

func (c *ChunkLoss) addTo(t *Counts) {
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
func (c *ChunkLoss) addSample(s *samples) {
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
func (l *Loss) sampled() samples {
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
func (l *Loss) found(c *Chunk) uint64 {
	var s samples
	l.chunk(c.Begin).addSample(&s)
	return s.found
}

// Counts are the totals with the chunks still in the ring.
func (l *Loss) Counts() Counts {
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

// Groups are the counts as the estimator wants them: those that tell of loss, and the open ones.
func (t *Counts) Groups() (loss, open []estimate.Group) {
	var opens uint64
	for attempts := range t[0] {
		for _, n := range t[0][attempts] {
			opens += n
		}
	}
	for attempts := 1; attempts <= MaxAttempts; attempts++ {
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
