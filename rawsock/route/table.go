package route

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Table maps on-link hosts to MAC addresses. Any number of goroutines may read it while it is updated. It takes
// 24 to 48 bytes per host.
type Table struct {
	// What a reader has loaded never changes: an update puts another one in its place. So a look-up costs one
	// load more than in a table that cannot be updated, and never waits.
	now       atomic.Pointer[slots]
	updating  sync.Mutex
	conflicts []Conflict
}

// slots is open addressing with linear probing, at most half full: most look-ups touch one cache line.
type slots struct {
	slots []slot
	shift uint8 // 32 - log2(len(slots))
	n     int
}

type slot struct {
	addr uint32
	mac  [6]byte
	used bool
}

// NewTable is the table of hosts whose link addresses are known already.
func NewTable(known map[netip.Addr][6]byte) (*Table, error) {
	t := &Table{}
	t.now.Store(newSlots(len(known)))
	if err := t.Update(known); err != nil {
		return nil, err
	}
	return t, nil
}

// Len is the number of hosts with a known MAC address.
func (t *Table) Len() int { return t.now.Load().n }

// MAC returns the MAC address of a host, and whether there is one. It does not
// allocate.
func (t *Table) MAC(a netip.Addr) ([6]byte, bool) {
	if !a.Is4() {
		return [6]byte{}, false
	}
	b := a.As4()
	u := binary.BigEndian.Uint32(b[:])
	s := t.now.Load()
	if at := s.find(u); s.slots[at].used {
		return s.slots[at].mac, true
	}
	return [6]byte{}, false
}

// Conflicts are the addresses that two hosts answered for when the table was made, in ascending order.
func (t *Table) Conflicts() []Conflict { return t.conflicts }

// Update changes the MAC addresses of hosts, or adds hosts. All of it shows at once, to whoever looks next. The
// table is copied, 3 MB for a /16: gather what belongs together.
func (t *Table) Update(changes map[netip.Addr][6]byte) error {
	for a := range changes {
		if !a.Is4() {
			return fmt.Errorf("address %v: only IPv4 is resolved yet", a)
		}
	}
	t.updating.Lock()
	defer t.updating.Unlock()
	old := t.now.Load()
	s := newSlots(old.n + len(changes))
	for i := range old.slots {
		if old.slots[i].used {
			s.put(old.slots[i].addr, old.slots[i].mac)
		}
	}
	for a, mac := range changes {
		b := a.As4()
		s.put(binary.BigEndian.Uint32(b[:]), mac)
	}
	t.now.Store(s)
	return nil
}

// newSlots has room for n hosts.
func newSlots(n int) *slots {
	log := max(1, bits.Len(uint(n))+1)
	return &slots{slots: make([]slot, 1<<log), shift: uint8(32 - log)}
}

// find returns the slot of a host, or the free one where it would be.
func (s *slots) find(u uint32) uint32 {
	mask := uint32(len(s.slots) - 1)
	// Fibonacci hashing (Knuth, TAOCP vol. 3, §6.4): neighbouring addresses land far apart.
	at := uint32(uint64(u*0x9e3779b1) >> s.shift)
	for s.slots[at].used && s.slots[at].addr != u {
		at = (at + 1) & mask
	}
	return at
}

func (s *slots) put(u uint32, mac [6]byte) {
	at := s.find(u)
	if !s.slots[at].used {
		s.n++
	}
	s.slots[at] = slot{u, mac, true}
}

// NextHop is a MAC address that may change while others read it: a gateway's. Its zero value is all zeros.
type NextHop struct{ mac atomic.Uint64 }

// Load returns the MAC address. It is one load, so a sender can compare before each batch.
func (h *NextHop) Load() (mac [6]byte) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], h.mac.Load())
	return [6]byte(b[2:])
}

// Store changes the MAC address.
func (h *NextHop) Store(mac [6]byte) {
	var b [8]byte
	copy(b[2:], mac[:])
	h.mac.Store(binary.BigEndian.Uint64(b[:]))
}
