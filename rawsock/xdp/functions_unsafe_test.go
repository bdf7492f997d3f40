//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import "unsafe"

func casesOf(b []byte) []functionsFunctionCase {
	return unsafe.Slice((*functionsFunctionCase)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(functionsFunctionCase{})))
}

func arrivalsOf(b []byte) []farArrival {
	return unsafe.Slice((*farArrival)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(farArrival{})))
}
