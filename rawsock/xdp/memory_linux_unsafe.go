//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import "unsafe"

// Memory that is mapped from a BPF array lies outside of Go's heap: it is not moved, and it is valid
// until it is unmapped. Pages are aligned for any type.

func words64(b []byte) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/8)
}

func words32(b []byte) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

func controlOf(b []byte) *scanControl {
	_ = b[unsafe.Sizeof(scanControl{})-1]
	return (*scanControl)(unsafe.Pointer(unsafe.SliceData(b)))
}

func setsOf(b []byte) []scanSet {
	return unsafe.Slice((*scanSet)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(scanSet{})))
}
