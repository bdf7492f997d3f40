package monitor

import "math/bits"

// entry is an endpoint of tier 1 or 2, in 16 bytes. Its meta is, from the lowest bit on: the index in the space (48 bits), the level of
// its λ (6), whether it is open, whether it has to be, whether another entry has taken its place, whether a signal has raised its
// level, the turn of the prediction that has it (2), and whether its own tier has not asked it yet.
type entry struct {
	meta  uint64
	asked uint32 // seconds since the table's epoch
	next  uint32 // in its queue, or among the free ones; 0: none
}

const (
	indexBits  = 48
	indexMask  = 1<<indexBits - 1
	levelShift = indexBits
	levelMask  = levels - 1
	flagOpen   = 1 << (indexBits + 6)
	flagNeeded = 1 << (indexBits + 7) // has to be open
	flagDead   = 1 << (indexBits + 8)
	flagRaised = 1 << (indexBits + 9)
	turnShift  = indexBits + 10
	turnMask   = 3
	flagFresh  = 1 << (indexBits + 12)
)

func (e *entry) index() uint64 { return e.meta & indexMask }
func (e *entry) turn() uint64  { return e.meta >> turnShift & turnMask }
func (e *entry) open() bool    { return e.meta&flagOpen != 0 }

// first tells whether the endpoint is of tier 1.
func (e *entry) first() bool { return e.meta&(flagOpen|flagNeeded) != 0 }

func (e *entry) setLevel(level int) {
	e.meta = e.meta&^(levelMask<<levelShift) | uint64(level)<<levelShift
}

func (e *entry) setTurn(turn uint64) {
	e.meta = e.meta&^(turnMask<<turnShift) | turn<<turnShift
}

// table has the entries by number, from 1, and finds them by index. Pages are never moved, so that it grows without a copy; the
// hash table, of 4 bytes a slot, is at most seven eighths full. Together that is 22 bytes an endpoint, 28 after it has grown.
type table struct {
	epoch int64 // ns
	pages [][]entry
	last  uint32 // the highest number in use
	free  uint32 // the first of the free entries
	n     int    // entries that can be found

	slots []uint32 // numbers by hash of the index, linear probing; 0: empty
}

const (
	pageBits = 14
	pageLen  = 1 << pageBits
)

func (t *table) at(id uint32) *entry {
	id--
	return &t.pages[id>>pageBits][id&(pageLen-1)]
}

// seconds is a time as entries have it; one before the epoch is the epoch.
func (t *table) seconds(now int64) uint32 {
	return uint32(min(max(now-t.epoch, 0)/1e9, 1<<32-1))
}

func (t *table) time(seconds uint32) int64 { return t.epoch + int64(seconds)*1e9 }

// home is where an index belongs: a hash, scaled to the slots by its upper bits, so that their number need not be a power of two.
func (t *table) home(index uint64) int {
	h := index * 0x9e3779b97f4a7c15
	h = (h ^ h>>32) * 0x94d049bb133111eb
	hi, _ := bits.Mul64(h^h>>29, uint64(len(t.slots)))
	return int(hi)
}

func (t *table) after(slot int) int {
	if slot++; slot == len(t.slots) {
		return 0
	}
	return slot
}

// find gives the number of an index's entry, 0 if there is none.
func (t *table) find(index uint64) uint32 {
	if len(t.slots) == 0 {
		return 0
	}
	for s := t.home(index); t.slots[s] != 0; s = t.after(s) {
		if id := t.slots[s]; t.at(id).index() == index {
			return id
		}
	}
	return 0
}

// alloc gives the number of an entry that nobody finds yet.
func (t *table) alloc() uint32 {
	if id := t.free; id != 0 {
		t.free = t.at(id).next
		return id
	}
	if int(t.last) == len(t.pages)*pageLen {
		t.pages = append(t.pages, make([]entry, pageLen))
	}
	t.last++
	return t.last
}

// release takes back an entry that nobody finds any more.
func (t *table) release(id uint32) {
	*t.at(id) = entry{next: t.free}
	t.free = id
}

// put makes an entry be found; its index must not be there yet.
func (t *table) put(id uint32) {
	if (t.n+1)*8 > len(t.slots)*7 {
		t.grow(len(t.slots) + len(t.slots)/3)
	}
	t.place(id)
	t.n++
}

func (t *table) place(id uint32) {
	s := t.home(t.at(id).index())
	for t.slots[s] != 0 {
		s = t.after(s)
	}
	t.slots[s] = id
}

// reserve makes room for so many entries.
func (t *table) reserve(n int) {
	if slots := n + n/6; slots > len(t.slots) {
		t.grow(slots)
	}
}

func (t *table) grow(slots int) {
	old := t.slots
	t.slots = make([]uint32, max(1024, slots))
	for _, id := range old {
		if id != 0 {
			t.place(id)
		}
	}
}

// drop makes the entry of an index be found no more. What comes behind it moves up where that is nearer its home.
func (t *table) drop(index uint64) {
	hole := t.home(index)
	for t.at(t.slots[hole]).index() != index {
		hole = t.after(hole)
	}
	t.n--
	for s := t.after(hole); t.slots[s] != 0; s = t.after(s) {
		home := t.home(t.at(t.slots[s]).index())
		if t.distance(home, s) >= t.distance(hole, s) {
			t.slots[hole], hole = t.slots[s], s
		}
	}
	t.slots[hole] = 0
}

// distance is how far a slot lies behind another one.
func (t *table) distance(from, to int) int {
	if to < from {
		return to + len(t.slots) - from
	}
	return to - from
}

// fifo is a queue of entries, linked by their numbers.
type fifo struct {
	head, tail uint32
	n          int
}

func (q *fifo) push(t *table, id uint32) {
	t.at(id).next = 0
	if q.tail == 0 {
		q.head = id
	} else {
		t.at(q.tail).next = id
	}
	q.tail = id
	q.n++
}

func (q *fifo) pop(t *table) uint32 {
	id := q.head
	if id == 0 {
		return 0
	}
	if q.head = t.at(id).next; q.head == 0 {
		q.tail = 0
	}
	q.n--
	return id
}
