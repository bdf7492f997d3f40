//go:build !linux || !(amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import "errors"

// ErrUnsupported says that the kernel or the driver lacks something that the backend needs.
var ErrUnsupported = errors.ErrUnsupported

// Check tells that the programs cannot run here.
func Check(int, bool) error { return ErrUnsupported }

// Driver is not known here.
func Driver(int) string { return "" }

// Harmless tells that nothing is known of any driver.
func Harmless(string) bool { return false }
