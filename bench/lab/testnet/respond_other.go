//go:build !linux

package testnet

import "testing"

// Responder cannot be made here.
type Responder struct{}

func (n *Network) Respond(t testing.TB, _ func(r *Responder, probe []byte)) *Responder {
	t.Helper()
	t.Fatal(errNotLinux)
	return nil
}

func (r *Responder) Send(...[]byte) error { return errNotLinux }
func (r *Responder) Close() error         { return errNotLinux }
