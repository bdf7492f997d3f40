package schedule

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// Loss counts on which attempt positions were first answered, and how many stayed silent to how many: all that the
// estimates of loss and of missed ports need.
//
// Receiver lanes add to the counters of a chunk while it is in flight. The policy notes what passes a chunk has had,
// and which of them have been listened to for as long as answers take; the silent positions are counted in the
// result map then. A chunk is folded into the totals when its slot is taken again, or at the end. All methods may be
// called by several goroutines at once.
type Loss struct {
	begin    uint64 // a multiple of chunkLen
	chunkLen uint64
	chunks   uint64 // that are kept apart
	first    uint64 // the first position
	end      uint64 // behind the last one
	silent   Silent
	ring     []ChunkLoss // by chunk number modulo its length

	lost atomic.Bool // a first try: a later attempt has been answered

	mu      sync.Mutex
	notes   []note          // as ring
	totals  estimate.Counts // of chunks that have left the ring
	sampled samples         // of all chunks
	cohorts cohorts         // of chunks that have left the ring
	heards  uint64          // how often something new was known
	high    float64         // the upper end of the loss, when there were highAt of them
	highAt  uint64
	ended   bool
}

// Silent counts the silent positions of [begin, end) that are multiples of 2^log2.
type Silent func(begin, end uint64, log2 uint8) uint64

// lossRing chunks are kept apart: at 20 ms of sending each, more than a minute of answers.
const lossRing = 4096

// ChunkLoss are the counters of one chunk. Its layout is struct chunk_loss of rawsock/xdp/bpf/results.h.
type ChunkLoss struct {
	// answered counts first answers by evidence (SYN-ACK, RST), divisor and attempt. The divisor is the
	// power of two that the position is a multiple of: it tells which samples the position is in,
	// before the chunk's sample is chosen.
	answered [2][MaxStride + 1][MaxAttempts]atomic.Uint32
	_        [2]uint32 // the rest of an element there
}

// note is what is known of the chunk in a slot.
type note struct {
	begin, end uint64    // none where both are 0
	heard      passes    // whose answers are in
	sent       passes    // all that have ended
	since      time.Time // the last of these ended
	retired    bool
	silent     [2]uint64 // to the passes heard, outside the sample and in it
	sample     samples   // what of it is in the Loss's
}

// passes are what the positions of a chunk have had.
type passes struct {
	probes uint8 // outside the sample; in it one more
	stride uint8 // 0: no sample
}

func passesOf(c *Chunk) passes {
	if !c.Sampled {
		return passes{probes: c.Probes}
	}
	return passes{c.Probes, c.Stride}
}

// attempts is how many attempts positions have had, outside the sample (0) or in it (1).
func (p passes) attempts(in int) int { return int(p.probes) + in }

// sets is 2 where there is a sample and 1 where there is none.
func (p passes) sets() int {
	if p.stride > 0 {
		return 2
	}
	return 1
}

// NewLoss counts for so many positions from begin, in chunks of chunkLen, of which the result map holds reach
// positions.
func NewLoss(begin, chunkLen, positions, reach uint64, silent Silent) *Loss {
	l := &Loss{begin: begin &^ (chunkLen - 1), chunkLen: chunkLen, first: begin, end: begin + positions, silent: silent}
	l.chunks = min(lossRing, (l.end-l.begin+chunkLen-1)/chunkLen)
	if positions > reach { // a chunk leaves the ring before it leaves the map, where its silent positions are counted
		l.chunks = min(l.chunks, max(reach/chunkLen, 1))
	}
	l.ring = make([]ChunkLoss, l.chunks)
	l.notes = make([]note, l.chunks)
	l.cohorts = newCohorts(l.begin, l.end, chunkLen)
	return l
}

// Use puts the counters into other memory, before anything is counted.
func (l *Loss) Use(ring []ChunkLoss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring = ring
}

func (l *Loss) slot(pos uint64) uint64 { return (pos - l.begin) / l.chunkLen % l.chunks }

// Answer counts the first answer of a position. attempt counts from 0.
func (l *Loss) Answer(pos uint64, reason results.Reason, attempt uint8) {
	if reason != results.SYNACK && reason != results.RST {
		return // ICMP errors are rate-limited by their senders: they tell nothing about loss
	}
	if attempt > 0 {
		l.lost.Store(true)
	}
	evidence := estimate.Open
	if reason == results.RST {
		evidence = estimate.Closed
	}
	divisor := min(bits.TrailingZeros64(pos), MaxStride)
	l.ring[l.slot(pos)].answered[evidence][divisor][attempt].Add(1)
}

// Open begins a chunk: what its slot held before goes to the totals.
func (l *Loss) Open(begin uint64) {
	i := l.slot(begin)
	l.mu.Lock()
	defer l.mu.Unlock()
	n, c := &l.notes[i], &l.ring[i]
	if n.end > 0 {
		n.heard = n.sent
		l.fold(n, c, &l.totals)
	}
	*n = note{begin: begin, end: min(begin&^(l.chunkLen-1)+l.chunkLen, l.end)}
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

// Tries are how many positions of the chunk that begins there have answered their first attempt, and how many their second.
func (l *Loss) Tries(begin uint64) (first, second uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.slot(begin)
	if l.ended || l.notes[i].begin != begin {
		return 0, 0
	}
	for _, answered := range l.ring[i].answers(passes{probes: 2}) {
		for evidence := range answered {
			first += answered[evidence][0]
			second += answered[evidence][1]
		}
	}
	return first, second
}

// of is the note of a chunk; nil where its slot has another chunk's.
func (l *Loss) of(c *Chunk) *note {
	if l.ended {
		return nil
	}
	if n := &l.notes[l.slot(c.Begin)]; n.begin == c.Begin && n.end > 0 {
		return n
	}
	return nil
}

// sent notes that a pass over a chunk has ended; retired, that it was the last.
func (l *Loss) sent(c *Chunk, retired bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.of(c); n != nil {
		n.sent, n.since, n.retired = passesOf(c), c.Since, retired
	}
}

// heard notes that the passes over a chunk have been listened to.
func (l *Loss) heard(c *Chunk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.of(c)
	if n == nil {
		return
	}
	n.sent, n.since = passesOf(c), c.Since
	l.listened(n)
	l.heards++
}

// retire notes that a chunk gets no further pass.
func (l *Loss) retire(c *Chunk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.of(c); n != nil {
		n.retired = true
	}
}

// takenBack notes that a chunk's last passes count as not sent: it has had what its state says now.
func (l *Loss) takenBack(c *Chunk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.of(c); n != nil {
		n.sent, n.since, n.retired = passesOf(c), c.Since, false
		l.listened(n)
	}
}

// listened takes what was sent for heard, and counts the positions that were silent to it.
func (l *Loss) listened(n *note) {
	c := &l.ring[l.slot(n.begin)]
	n.heard = n.sent
	n.silent = l.silence(n)
	answered := c.answers(n.heard)
	for in := range n.heard.sets() {
		for evidence := range answered[in] {
			for _, late := range answered[in][evidence][n.heard.attempts(in):] {
				n.silent[in] += late
			}
		}
	}
	l.sampled.subtract(n.sample)
	if n.sample = (samples{}); n.heard.stride > 0 {
		n.sample = n.sampled(c)
		l.sampled.add(n.sample)
	}
}

// silence counts the silent positions of a chunk, outside the sample and in it.
func (l *Loss) silence(n *note) (silent [2]uint64) {
	silent[0] = l.silent(n.begin, n.end, 0)
	if n.heard.stride > 0 {
		silent[1] = l.silent(n.begin, n.end, n.heard.stride)
		silent[0] -= min(silent[0], silent[1])
	}
	return silent
}

// Counts are what is known while the scan runs. Passes that had ended by heardBy count as listened to.
func (l *Loss) Counts(heardBy time.Time) estimate.Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.totals
	l.hear(heardBy)
	for i := range l.notes {
		n := &l.notes[i]
		if n.end == 0 {
			continue
		}
		answered := l.ring[i].answers(n.heard)
		for in := range n.heard.sets() {
			k := n.heard.attempts(in)
			answered[in].addTo(&t, k)
			t.Silent[k] += n.silent[in]
			if n.retired && n.heard == n.sent {
				t.Left[k].Silent += n.silent[in] // late answers were among them
			}
		}
	}
	return t
}

// hear takes the last passes that had ended by a time for listened to.
func (l *Loss) hear(by time.Time) {
	for i := range l.notes {
		if n := &l.notes[i]; n.end > 0 && n.retired && n.heard != n.sent && !n.since.After(by) {
			l.listened(n)
		}
	}
}

// Cohorts are those of the chunks that are not asked again, of whose passes those that had ended by heardBy count as
// listened to: at most maxCohorts, in order.
func (l *Loss) Cohorts(heardBy time.Time) []estimate.Cohort {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.cohorts.clone()
	l.hear(heardBy)
	for i := range l.notes {
		if n := &l.notes[i]; n.end > 0 && n.retired && n.heard == n.sent {
			answered := l.ring[i].answers(n.heard)
			all.add(n, &answered)
		}
	}
	return all.known()
}

// End folds all chunks into the totals: nothing is sent any more, nothing comes in, and neither the counters nor
// the result map are looked at again. Passes that had ended by heardBy have been listened to. It may be called again.
func (l *Loss) End(heardBy time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	for i := range l.notes {
		n := &l.notes[i]
		if n.end == 0 {
			continue
		}
		if !n.since.After(heardBy) {
			n.heard = n.sent
		}
		l.fold(n, &l.ring[i], &l.totals)
	}
	l.ring, l.notes = nil, nil
}

// fold adds a chunk whose positions are not asked again.
func (l *Loss) fold(n *note, c *ChunkLoss, t *estimate.Counts) {
	silent := l.silence(n)
	answered := c.answers(n.heard)
	l.cohorts.add(n, &answered)
	for in := range n.heard.sets() {
		k := n.heard.attempts(in)
		late := answered[in].addTo(t, k)
		t.Silent[k] += silent[in] + late[0] + late[1]
		t.Left[k].Silent += silent[in]
		for evidence := range late {
			t.Left[k].Late[evidence] += late[evidence]
		}
	}
}

// upTo is the upper end of the loss as it is known. It is found anew when there is some more to learn from.
func (l *Loss) upTo() float64 {
	l.mu.Lock()
	known := l.heards - l.highAt
	if l.highAt > 0 && known <= l.highAt/4 {
		defer l.mu.Unlock()
		return l.high
	}
	l.highAt = l.heards
	l.mu.Unlock()
	t := l.Counts(time.Time{})
	high := estimate.LossUpTo(&t)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.high = high
	return high
}

// samples are what all samples so far have shown, and what that of a chunk has.
func (l *Loss) samples(c *Chunk) (all, own samples) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.of(c); n != nil {
		own = n.sample
	}
	return l.sampled, own
}
