//go:build !linux

package testnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/bpf"
)

var errNotLinux = fmt.Errorf("network namespaces on %s: %w", runtime.GOOS, errors.ErrUnsupported)

// Enter says that there are no network namespaces here.
func Enter() error { return errNotLinux }

func available() error      { return errNotLinux }
func userNamespaces() error { return errNotLinux }

// Apart is for Linux.
func Apart(t testing.TB) { t.Helper(); Require(t) }

// Run is t.Run.
func Run(t *testing.T, name string, test func(t *testing.T)) bool {
	t.Helper()
	return t.Run(name, test)
}

// Place is the namespace that a test is in.
type Place struct{}

// Here is where the test is.
func Here(testing.TB) Place { return Place{} }

// Do calls f.
func (Place) Do(f func() error) error { return f() }

// Network cannot be made here.
type Network struct {
	Link             string
	PeerLink         string
	Source           netip.Addr
	GatewayAddr      netip.Addr
	Prefix           netip.Prefix
	HardwareAddr     net.HardwareAddr
	PeerHardwareAddr net.HardwareAddr
	Warnings         []string

	t testing.TB
}

func Open(Config) (*Network, error)                              { return nil, errNotLinux }
func (n *Network) Do(func() error) error                         { return n.check(errNotLinux) }
func (n *Network) Close() error                                  { return errNotLinux }
func (n *Network) Drop(Match) error                              { return n.check(errNotLinux) }
func (n *Network) DropPort(uint16) error                         { return n.check(errNotLinux) }
func (n *Network) DropPrefix(netip.Prefix) error                 { return n.check(errNotLinux) }
func (n *Network) Reject(Match, uint8) error                     { return n.check(errNotLinux) }
func (n *Network) RejectOver(Match, uint8, uint64, uint32) error { return n.check(errNotLinux) }
func (n *Network) Loss(float64, Direction) error                 { return n.check(errNotLinux) }
func (n *Network) Bursts(_, _ time.Duration) error               { return n.check(errNotLinux) }
func (n *Network) CountSYN(Match) (*Counter, error)              { return nil, n.check(errNotLinux) }
func (n *Network) Cut() (func() error, error)                    { return nil, n.check(errNotLinux) }
func (n *Network) Carrier(bool) error                            { return n.check(errNotLinux) }
func (n *Network) FailOver(netip.Addr, net.HardwareAddr) error   { return n.check(errNotLinux) }
func (n *Network) Serve(string) (netip.AddrPort, error)          { return netip.AddrPort{}, errNotLinux }

func (n *Network) OpenBehind(Config) (*Network, error)     { return nil, errNotLinux }
func (n *Network) Bottleneck(float64, time.Duration) error { return n.check(errNotLinux) }
func (n *Network) Passed() (Passed, error)                 { return Passed{}, n.check(errNotLinux) }

// Passed is what has come to a bottleneck.
type Passed struct{ Packets, Bytes, Dropped uint64 }

// DelayLine cannot be made here.
type DelayLine struct{}

func (n *Network) Delay(netip.Addr, time.Duration) (*DelayLine, error) { return nil, errNotLinux }
func (d *DelayLine) Close() error                                      { return errNotLinux }
func (d *DelayLine) Late() (packets uint64, median, hundredth, most time.Duration) {
	return 0, 0, 0, 0
}

func (n *Network) Listen(t testing.TB, addr string) netip.AddrPort {
	t.Helper()
	t.Fatal(errNotLinux)
	return netip.AddrPort{}
}

// Counter cannot be made here.
type Counter struct{}

func (c *Counter) Value() (uint64, error) { return 0, errNotLinux }

// Capture cannot be made here.
type Capture struct{}

func (n *Network) StartCapture(...bpf.Instruction) (*Capture, error) { return nil, errNotLinux }

func (n *Network) Capture(t testing.TB, _ ...bpf.Instruction) *Capture {
	t.Helper()
	t.Fatal(errNotLinux)
	return nil
}

func (c *Capture) Stop() []Frame { return nil }
func (c *Capture) Err() error    { return errNotLinux }
func (c *Capture) Lost() uint64  { return 0 }
