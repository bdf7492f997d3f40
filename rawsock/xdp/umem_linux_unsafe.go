//go:build linux

package xdp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// register tells the kernel of the memory (XDP_UMEM_REG), which pins it.
func (u *umem) register(fd int) error {
	reg := unix.XDPUmemReg{
		Addr: uint64(uintptr(unsafe.Pointer(&u.memory[0]))),
		Len:  uint64(len(u.memory)),
		Size: chunkSize,
	}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_UMEM_REG,
		uintptr(unsafe.Pointer(&reg)), unsafe.Sizeof(reg), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
