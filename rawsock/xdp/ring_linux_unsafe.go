//go:build linux

package xdp

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

// mapRing maps one of the socket's rings, by its page offset (XDP_PGOFF_*), and returns the mapping
// for munmap.
func mapRing[E uint64 | unix.XDPDesc](fd int, page int64, o unix.XDPRingOffset, size int) (ring[E], []byte, error) {
	var e E
	memory, err := unix.Mmap(fd, page, int(o.Desc)+size*int(unsafe.Sizeof(e)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return ring[E]{}, nil, fmt.Errorf("map ring: %w", err)
	}
	word := func(offset uint64) *uint32 { return (*uint32)(unsafe.Pointer(&memory[offset])) }
	return ring[E]{
		producer: word(o.Producer),
		consumer: word(o.Consumer),
		flags:    word(o.Flags),
		// The kernel aligns the entries to their size.
		entries: unsafe.Slice((*E)(unsafe.Pointer(&memory[o.Desc])), size),
		mask:    uint32(size - 1),
	}, memory, nil
}

// ringOffsets asks where in the mappings the rings' words and entries lie.
func ringOffsets(fd int) (o unix.XDPMmapOffsets, err error) {
	return o, getXDP(fd, unix.XDP_MMAP_OFFSETS, unsafe.Pointer(&o), unsafe.Sizeof(o))
}

// ringStatistics reads the kernel's counts for the socket (XDP_STATISTICS).
func ringStatistics(fd int) (s unix.XDPStatistics, err error) {
	return s, getXDP(fd, unix.XDP_STATISTICS, unsafe.Pointer(&s), unsafe.Sizeof(s))
}

// getXDP fills the struct at p. A kernel without rawsock.XDPStatistics knows a shorter form of both structs.
func getXDP(fd, option int, p unsafe.Pointer, size uintptr) error {
	length := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option),
		uintptr(p), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return errno
	}
	if uintptr(length) != size {
		return fmt.Errorf("the kernel fills %d bytes of %d: %s", length, size, rawsock.XDPStatistics.Needs())
	}
	return nil
}
