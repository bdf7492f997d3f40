// Package testnet makes the networks that tests and benchmarks scan: a fresh
// network namespace for the process, and target hosts in a second one at the
// far end of a veth pair. Nothing in here can reach a real network.
//
//	test process (own namespace)                     target namespace (anonymous)
//	┌────────────────────────────┐                  ┌───────────────────────────────┐
//	│ lo   Link 10.76.0.1/24 ────┼────── veth ──────┼─ PeerLink 10.76.0.2/24   lo   │
//	│      10.77.0.0/16 via .2   │                  │  local 10.77.0.0/16 dev lo    │
//	│      (or on-link)          │                  │  listeners, nftables, capture │
//	└────────────────────────────┘                  └───────────────────────────────┘
//
// The target answers for the whole prefix with the kernel's own TCP stack
// (AnyIP, ip-route(8) type local): a port is open where a listener is bound,
// closed elsewhere, silent or lossy where a rule says so.
//
// A test package opts in with
//
//	func TestMain(m *testing.M) { testnet.Main(m) }
//
// and a test begins with testnet.New, which skips it, with the reason printed,
// where namespaces are not to be had. A test that may run beside others begins
// with
//
//	t.Parallel()
//	testnet.Apart(t)
//	n := testnet.New(t, testnet.Config{})
//
// which gives it a pair of namespaces of its own.
//
// What the target kernel sends has its TCP checksum left to an offload that
// veth does not perform: a capture shows such replies with an unfinished
// checksum. What a packet socket sent is seen as it was sent.
package testnet

import (
	"flag"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/stall"
)

// InterfacePrefix begins the name of every interface made here. A test that
// adds an interface of its own to its namespace names it so too: New refuses to
// work beside any other interface, which might lead to a real network.
const InterfacePrefix = "tn"

// Config describes one network. The zero value is a /16 on-link.
type Config struct {
	// Prefix holds the target addresses; default 10.77.0.0/16. IPv4.
	Prefix netip.Prefix
	// Subnet is the link's own network; default 10.76.0.0/24. Its first host
	// is the scanner, its second the target. Networks that exist at the same
	// time need different prefixes and subnets.
	Subnet netip.Prefix
	// Gateway routes Prefix through the far end of the link. Without it
	// Prefix is on-link: every target is asked for by ARP.
	Gateway bool
	// Alive restricts which part of Prefix exists: the rest answers neither
	// ARP nor probes. Default: all of Prefix.
	Alive []netip.Prefix
	// MTU of the link in bytes; default 1500.
	MTU int
	// Queue is the length in packets of the queue (qdisc pfifo) that the scanner's end gets, as real
	// interfaces have one. 0: none, as veth comes: a full link then drops without telling the sender.
	Queue int
}

func (c Config) withDefaults() Config {
	if !c.Prefix.IsValid() {
		c.Prefix = netip.MustParsePrefix("10.77.0.0/16")
	}
	if !c.Subnet.IsValid() {
		c.Subnet = netip.MustParsePrefix("10.76.0.0/24")
	}
	c.Prefix, c.Subnet = c.Prefix.Masked(), c.Subnet.Masked()
	if len(c.Alive) == 0 {
		c.Alive = []netip.Prefix{c.Prefix}
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	return c
}

// BeaconPort is the source port from which synoptic asks again what has answered, the last of its sixteen, where the
// ephemeral range is Linux' default. Such probes are beacons: no count of probes holds them.
const BeaconPort = 61015

// Match selects packets on their way to the targets. The zero value matches
// everything IPv4.
type Match struct {
	Prefix netip.Prefix // destination; zero: any
	Port   uint16       // TCP destination port; 0: any packet, not only TCP
}

// Direction is seen from the target.
type Direction uint8

const (
	In   Direction = 1 << iota // probes, before the target sees them
	Out                        // replies
	Both = In | Out
)

// Frame is one captured link-layer frame.
type Frame struct {
	Time     time.Time // kernel software time stamp
	Data     []byte    // from the Ethernet header on, a VLAN tag in its place; not to be modified
	Length   int       // bytes on the wire; longer than Data if truncated
	Outgoing bool      // sent by the target, not to it
}

// Main is the whole of a TestMain: it runs the tests in a fresh network
// namespace (and user namespace, unless root), or in place where that is not
// allowed or not wanted (-short), and exits. At the end it says how many runs
// were void (package stall). Tests on networks wait most of the time, so more
// of them than processors run at once, unless -parallel says otherwise. What is to be done after all
// tests, however they end, is in last.
func Main(m *testing.M, last ...func()) {
	flag.Parse()
	if !testing.Short() {
		_ = Enter() // the reason is kept for Require
		parallel := false
		flag.Visit(func(f *flag.Flag) { parallel = parallel || f.Name == "test.parallel" })
		processors := runtime.GOMAXPROCS(0)
		if !parallel {
			_ = flag.Set("test.parallel", strconv.Itoa(atOnce*processors))
		}
		// A goroutine that plays a target would wait until all that read records have had their turns, 10 ms each and
		// seconds on a busy machine. With a thread for each it is the kernel that chooses, and who has slept goes first.
		runtime.GOMAXPROCS(2 * atOnce * processors)
	}
	code := m.Run()
	for _, f := range last {
		f()
	}
	stall.Report(os.Stdout)
	os.Exit(code)
}

// atOnce is how many tests a processor has to do.
const atOnce = 4

// RequireEnv names what must not be skipped for want of it.
const RequireEnv = need.Env

// Required tells whether a missing part of the surroundings is a failure, as it is in the gate.
func Required(part string) bool { return need.Required(part) }

// Require skips a test that needs a test network where none can be made, or fails it where
// RequireEnv says so. With -short it skips the test.
func Require(t testing.TB) {
	t.Helper()
	need.Long(t)
	if err := available(); err != nil {
		if Required("network") {
			t.Fatalf("no test network: %v", err)
		}
		t.Skipf("no test network: %v", err)
	}
}

// RequireUsers skips a test that starts a program as another user where there is none: a user namespace
// of an ordinary user maps one.
func RequireUsers(t testing.TB) {
	t.Helper()
	need.Long(t)
	if b, err := os.ReadFile("/proc/self/uid_map"); err != nil || os.Geteuid() != 0 || strings.HasSuffix(strings.TrimSpace(string(b)), " 1") {
		t.Skip("this process cannot start another one as another user")
	}
}

// RequireUserNamespaces skips a test that starts a program in a user namespace of its own where none can be made.
func RequireUserNamespaces(t testing.TB) {
	t.Helper()
	Require(t)
	if err := userNamespaces(); err != nil {
		t.Skipf("no user namespace: %v", err)
	}
}

// New makes a network for one test and destroys it with the test.
func New(t testing.TB, c Config) *Network {
	t.Helper()
	Require(t)
	n, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	n.t = t
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("destroy test network: %v", err)
		}
	})
	for _, w := range n.Warnings {
		t.Logf("testnet: %s", w)
	}
	return n
}

// check gives a method's error to the test the network belongs to, so that a
// test may ignore the result of Drop, Loss and the like.
func (n *Network) check(err error) error {
	if err != nil && n.t != nil {
		n.t.Helper()
		n.t.Fatal(err)
	}
	return err
}
