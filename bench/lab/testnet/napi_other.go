//go:build !linux

package testnet

import (
	"io"
	"testing"
)

// NAPI is for Linux.
func (n *Network) NAPI(t testing.TB) {
	t.Helper()
	t.Fatal(errNotLinux)
}

// Occupy is for Linux.
func (n *Network) Occupy(t testing.TB) io.Closer {
	t.Helper()
	t.Fatal(errNotLinux)
	return nil
}

// RequireXDP skips a test where XDP programs are not permitted.
func RequireXDP(t testing.TB) {
	t.Helper()
	Require(t)
	t.Skip(errNotLinux)
}
