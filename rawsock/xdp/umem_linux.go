package xdp

import "golang.org/x/sys/unix"

// umem is the memory that the frames lie in, shared with the kernel, and the account of who
// owns which of them. Every frame is at any time in exactly one place: in batch (the
// caller's), in free, or with the kernel.
//
// Frames lie as densely as cache lines allow, several to a chunk: for sending, the kernel asks only that
// a frame does not cross the end of its chunk (xp_aligned_validate_desc in net/xdp/xsk_queue.h, Linux 6.12). One frame to a chunk
// of 2 KiB would touch 32 times the pages, and map all frames to the same few sets of the cache.
type umem struct {
	memory []byte
	length int      // bytes of one frame
	first  uint64   // address of the first frame; before it lie the chunks for the fill ring
	slot   uint64   // bytes from one frame to the next, within a chunk
	frames int      // how many there are
	batch  []uint64 // the addresses of the caller's frames: their offsets in memory
	views  [][]byte // the same as memory
	free   []uint64 // last in, first out: the frame used last is the one in the cache
}

// newUmem makes the frames, zeroed: batch of them the caller's, inFlight free, behind fill whole chunks.
func newUmem(length, batch, fill int) (*umem, error) {
	u := &umem{
		length: length,
		first:  uint64(fill) * chunkSize,
		slot:   uint64(length+cacheLine-1) &^ (cacheLine - 1),
		frames: batch + inFlight,
		batch:  make([]uint64, batch),
		views:  make([][]byte, batch),
		free:   make([]uint64, 0, inFlight),
	}
	end := u.address(u.frames-1) + chunkSize
	size := int(end &^ (chunkSize - 1))
	// Anonymous memory of its own, not Go's: the kernel pins the pages and keeps them after Close for
	// as long as a frame is on its way.
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	u.memory = memory
	u.own()
	return u, nil
}

// own makes all frames ours.
func (u *umem) own() {
	for i := range u.batch {
		u.batch[i] = u.address(i)
		u.views[i] = u.at(u.batch[i])
	}
	for i := u.frames - 1; i >= len(u.batch); i-- {
		u.free = append(u.free, u.address(i))
	}
}

// address is where frame k of all lies.
func (u *umem) address(k int) uint64 {
	perChunk := chunkSize / int(u.slot)
	return u.first + uint64(k/perChunk)*chunkSize + uint64(k%perChunk)*u.slot
}

// at returns the frame with that address.
func (u *umem) at(address uint64) []byte {
	end := address + uint64(u.length)
	return u.memory[address:end:end]
}

// swap gives the caller a free frame in place of each of batch [from, from+n), which the kernel has.
func (u *umem) swap(from, n int) {
	left := len(u.free) - n
	for i, address := range u.free[left:] {
		u.batch[from+i] = address
		u.views[from+i] = u.at(address)
	}
	u.free = u.free[:left]
}

func (u *umem) close() error {
	if u == nil || u.memory == nil {
		return nil
	}
	m := u.memory
	u.memory = nil
	return unix.Munmap(m)
}
