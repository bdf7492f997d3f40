//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// testRun is the part of union bpf_attr (include/uapi/linux/bpf.h, Linux 6.12) that BPF_PROG_TEST_RUN takes.
type testRun struct {
	program, retval                 uint32
	dataSizeIn, dataSizeOut         uint32
	dataIn, dataOut                 uint64
	repeat, duration                uint32
	contextSizeIn, contextSizeOut   uint32
	contextIn, contextOut           uint64
	flags, cpu, batchSize, reserved uint32
}

// runLive repeats a program over live frames. A signal to the thread ends it early, without an error:
// that is why this is not the library's, which then starts again.
func runLive(program int, frame []byte, repeat, batch uint32) error {
	attr := testRun{
		program: uint32(program), dataSizeIn: uint32(len(frame)), dataIn: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(frame)))),
		repeat: repeat, flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, batchSize: batch,
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(frame)
	if errno != 0 && errno != unix.EINTR {
		return errno
	}
	return nil
}
