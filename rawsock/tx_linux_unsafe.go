//go:build linux

package rawsock

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of include/linux/socket.h, Linux 6.12. The compiler pads it to the
// alignment of a pointer, as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32 // bytes sent, written by the kernel; a packet is sent whole or not at all
}

// buildMessages points every message at its frame and destination, once.
func (t *Tx) buildMessages() {
	for i := range t.msgs {
		t.iovs[i].Base = &t.frames[i][0]
		t.iovs[i].SetLen(t.length)
		h := &t.msgs[i].hdr
		h.Iov = &t.iovs[i]
		h.SetIovlen(1)
		if t.framing == Loopback {
			t.hosts[i].Family = unix.AF_INET
			h.Name = (*byte)(unsafe.Pointer(&t.hosts[i]))
			h.Namelen = unix.SizeofSockaddrInet4
		} else {
			h.Name = (*byte)(unsafe.Pointer(&t.link))
			h.Namelen = unix.SizeofSockaddrLinklayer
		}
	}
}

// sendmmsg sends msgs, at least one, without blocking, and returns how many the kernel
// took; errno tells only if that is 0.
//
// Syscall6, not RawSyscall6: a batch takes long enough (tens of µs, and more when the
// receiving softirq runs on the same core) that the runtime must be free to collect
// garbage and to run other goroutines meanwhile.
func sendmmsg(fd int, msgs []mmsghdr) (n int, errno unix.Errno) {
	r, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), unix.MSG_DONTWAIT, 0, 0)
	// The conversion keeps msgs[0]'s allocation alive during the call, and through
	// its pointers iovs and memory.
	runtime.KeepAlive(msgs)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

// alignedBytes returns n zeroed bytes whose first lies on a multiple of align, a power
// of two.
func alignedBytes(n, align int) []byte {
	b := make([]byte, n+align-1)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & uintptr(align-1))
	return b[skip : skip+n : skip+n]
}
