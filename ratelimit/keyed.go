package ratelimit

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// KeyedSlots is how many arrival times a table for the prefixes of a network has: half a megabyte.
const KeyedSlots = 1 << 16

const (
	// Slack is by how much a packet may come late and still keep its turn, so that what nobody asks for in time is not
	// lost to the rate.
	Slack = 5 * time.Millisecond
	// Lateness is by how much a packet may leave after it was let go. What leaves later still has to be told: Keyed.Late.
	Lateness = 5 * time.Millisecond
	// margin is what both take away from the rate, as parts of a second.
	margin = Slack + Lateness
)

// Keyed holds many flows to one rate each, by the generic cell rate algorithm with a burst of one packet (ITU-T I.371
// annex A): a flow has the time at which its next packet may go, and nothing else. Flows share a slot where their keys
// do; then they share its rate, so a collision errs towards slow. One goroutine at a time calls its methods: whoever asks about many
// packets at once locks once for all of them.
//
// Times are nanoseconds of any monotonic clock, the same in all calls. A packet that goes at t moves the slot's time to
// interval behind max(its time, t − Slack). So n packets that go one after the other take (n − 1)·interval − Slack at
// least, and as the interval is longer than 1/rate by Slack + Lateness in a second, any window of one second has
// 1 + rate packets at most, on the wire too.
type Keyed struct {
	salt     uint64
	mask     uint32 // of a hash, to a slot
	interval int64
	free     []int64 // when the next packet of a slot may go
	turns    []int64 // when the next one to queue should be asked about again,
	overdue  []int64 // and the next of those that have had their turn
}

// NewKeyed returns a table of so many slots, a power of two. Values of the rate, in packets per second, as for New. salt is any
// number, and says which keys share a slot.
func NewKeyed(rate float64, slots int, salt uint64) (*Keyed, error) {
	if slots < 1 || slots > 1<<30 || bits.OnesCount(uint(slots)) != 1 {
		return nil, fmt.Errorf("keyed rate limiter: %d slots are no power of two up to 2^30", slots)
	}
	k := &Keyed{salt: salt, mask: uint32(slots - 1), free: make([]int64, slots), turns: make([]int64, slots), overdue: make([]int64, slots)}
	for i := range k.free {
		k.free[i] = math.MinInt64 / 2 // before all times, of which some are negative
		k.turns[i], k.overdue[i] = k.free[i], k.free[i]
	}
	return k, k.SetRate(rate)
}

// SetRate changes the rate of all slots, for packets that go from now on.
func (k *Keyed) SetRate(rate float64) error {
	if !(rate > 0) || math.IsInf(rate, 0) {
		return &RateError{Input: fmt.Sprint(rate), Reason: "a rate must be above zero and finite"}
	}
	k.interval = int64(KeyedInterval(rate))
	return nil
}

// KeyedInterval is how far apart the packets of a slot are at a rate in packets per second.
func KeyedInterval(rate float64) time.Duration {
	return time.Duration(math.Ceil(min(float64(time.Second+margin)/rate, math.MaxInt64/4)))
}

// Slot is where a key of 128 bits has its time.
func (k *Keyed) Slot(hi, lo uint64) uint32 { return hash(k.salt, hi, lo) & k.mask }

// KeyedSlot is Slot of a table of KeyedSlots that has a salt.
func KeyedSlot(salt, hi, lo uint64) uint32 { return hash(salt, hi, lo) & (KeyedSlots - 1) }

// hash folds a product of 128 bits as wyhash does, with its constants, and spreads what that leaves uneven.
func hash(salt, hi, lo uint64) uint32 {
	a, b := bits.Mul64(lo^salt^0xa0761d6478bd642f, hi^0xe7037ed1a0b428db)
	return uint32((a ^ b) * 0x9e3779b97f4a7c15 >> 40)
}

// Take lets a packet go at a time, or not.
func (k *Keyed) Take(slot uint32, now int64) bool {
	t := &k.free[slot]
	if now < *t {
		return false
	}
	*t = max(*t, now-int64(Slack)) + k.interval
	return true
}

// Undo takes back that a packet was let go: it did not leave.
func (k *Keyed) Undo(slot uint32) { k.free[slot] -= k.interval }

// Late says that a packet that was let go left by more than Lateness later, at a time: the next ones make up for it.
func (k *Keyed) Late(slot uint32, left int64) {
	k.free[slot] = max(k.free[slot], left) + k.interval
}

// Next is when a packet that may not go yet should be asked about again: behind those that have queued before it. One that had queued, and
// whose turn is over, queues with its like, before the others: where turns are kept late, all that follow are late as well, and nobody
// goes back to the end.
func (k *Keyed) Next(slot uint32, again bool) int64 {
	return max(k.queue(again)[slot], k.free[slot])
}

// Queue keeps a turn at a time, which is Next or later, for a packet that will be asked about again then. It is a promise of nobody:
// whoever asks before may take it.
func (k *Keyed) Queue(slot uint32, again bool, at int64) {
	q := k.queue(again)
	q[slot] = max(q[slot], at+k.interval)
}

func (k *Keyed) queue(again bool) []int64 {
	if again {
		return k.overdue
	}
	return k.turns
}
