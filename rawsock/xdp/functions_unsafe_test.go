//go:build linux

package xdp

import "unsafe"

func casesOf(b []byte) []functionsFunctionCase {
	return unsafe.Slice((*functionsFunctionCase)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(functionsFunctionCase{})))
}
