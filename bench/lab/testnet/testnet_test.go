//go:build linux

package testnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"synoptic/bench/lab/packet"
)

// dial connects to a port that answers, however slow the machine is.
func dial(addr string) error { return dialWithin(addr, 30*time.Second) }

// dialSilent is dial where no answer may come.
func dialSilent(addr string) error { return dialWithin(addr, time.Second) }

func dialWithin(addr string, patience time.Duration) error {
	c, err := net.DialTimeout("tcp4", addr, patience)
	if err == nil {
		c.Close()
	}
	var e net.Error
	if errors.As(err, &e) && e.Timeout() {
		return fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, err)
	}
	return err
}

// The four behaviours of a port, over both ways to reach the targets.
func TestPortStates(t *testing.T) {
	for _, gateway := range []bool{false, true} {
		t.Run(fmt.Sprintf("gateway=%v", gateway), func(t *testing.T) {
			n := New(t, Config{Gateway: gateway, Alive: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/17")}})
			if len(n.Warnings) > 0 {
				t.Errorf("not all settings were allowed: %q", n.Warnings)
			}
			n.Listen(t, "0.0.0.0:80")
			one := n.Listen(t, "10.77.3.4:0")
			n.DropPort(81)
			n.Reject(Match{Port: 82}, 13)
			n.Reject(Match{Prefix: netip.MustParsePrefix("10.77.9.0/24")}, 1)

			for _, c := range []struct {
				addr string
				want error // nil: open
			}{
				{"10.77.0.0:80", nil},
				{"10.77.127.255:80", nil},
				{one.String(), nil},
				{fmt.Sprintf("10.77.3.5:%d", one.Port()), syscall.ECONNREFUSED},
				{"10.77.3.4:79", syscall.ECONNREFUSED},
				{"10.77.3.4:81", os.ErrDeadlineExceeded},
				{"10.77.3.4:82", syscall.EHOSTUNREACH},
				{"10.77.9.77:80", syscall.EHOSTUNREACH},
				{"10.77.10.0:80", nil},
			} {
				ask := dial
				if errors.Is(c.want, os.ErrDeadlineExceeded) {
					ask = dialSilent
				}
				if err := ask(c.addr); !errors.Is(err, c.want) {
					t.Errorf("%s: got %v, want %v", c.addr, err, c.want)
				}
			}
			// Not alive: no answer, and without a gateway not even to ARP.
			want := syscall.EHOSTUNREACH
			if err := dialSilent("10.77.128.1:80"); gateway && !errors.Is(err, os.ErrDeadlineExceeded) ||
				!gateway && !errors.Is(err, want) && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a host that is not alive: %v", err)
			}
		})
	}
}

// sendUDP sends count datagrams as fast as the kernel takes them, to addresses
// that go through the prefix, and returns when the last one was accepted.
func sendUDP(t *testing.T, n *Network, port uint16, count int) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: n.Source.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var payload [8]byte
	base := n.Prefix.Addr().As4()
	for i := range count {
		binary.BigEndian.PutUint64(payload[:], uint64(i))
		a := base
		a[2], a[3] = byte(i>>8), byte(i)
		if _, err := c.WriteToUDPAddrPort(payload[:], netip.AddrPortFrom(netip.AddrFrom4(a), port)); err != nil {
			t.Fatal(err)
		}
	}
}

// parse reads what was captured.
func parse(t *testing.T, f Frame) *packet.Packet {
	t.Helper()
	p, err := packet.ParseEthernet(f.Data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// udpOnly passes IPv4 with protocol UDP.
var udpOnly = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x0800, SkipTrue: 3},
	bpf.LoadAbsolute{Off: 23, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 17, SkipTrue: 1},
	bpf.RetConstant{Val: 0xffff},
	bpf.RetConstant{Val: 0},
}

func TestCaptureIsExact(t *testing.T) {
	n := New(t, Config{Gateway: true})
	n.Drop(Match{})
	c := n.Capture(t, udpOnly...)
	const count = 100_000
	begin := time.Now()
	sendUDP(t, n, 9, count)
	rate := count / time.Since(begin).Seconds()
	frames := c.Stop()
	t.Logf("%d frames at %.0f/s, lost %d", len(frames), rate, c.Lost())
	if len(frames) != count || c.Lost() != 0 || c.Err() != nil {
		t.Fatalf("captured %d of %d frames, lost %d, error %v", len(frames), count, c.Lost(), c.Err())
	}
	for i, f := range frames {
		if f.Length != len(f.Data) || f.Outgoing {
			t.Fatalf("frame %d: %d of %d bytes, outgoing %v", i, len(f.Data), f.Length, f.Outgoing)
		}
		if !packet.Ethernet(t, f.Data, packet.DstMAC(n.PeerHardwareAddr), packet.SrcMAC(n.HardwareAddr), packet.Padding(0),
			packet.UDP(packet.DstPort(9), packet.Payload(binary.BigEndian.AppendUint64(nil, uint64(i))...))) {
			t.Fatalf("frame %d", i)
		}
		if f.Time.Before(begin.Add(-time.Second)) || f.Time.After(time.Now().Add(time.Second)) {
			t.Fatalf("frame %d: time %v", i, f.Time)
		}
	}
	if again := c.Stop(); len(again) != count {
		t.Errorf("a second Stop returned %d frames", len(again))
	}
	sendUDP(t, n, 9, 10)
	if len(c.Stop()) != count {
		t.Error("frames arrived after Stop")
	}
}

// A capture that lost frames says so. Nobody empties the ring here.
func TestCaptureReportsLoss(t *testing.T) {
	n := New(t, Config{Gateway: true, MTU: 9000})
	n.Drop(Match{})
	c := newCapture()
	if err := n.Do(func() error { return c.open(n, udpOnly) }); err != nil {
		t.Fatal(err)
	}
	close(c.done)
	u, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	payload := make([]byte, 8000)
	const count = 8000 // 64 MB into 48 MiB
	for range count {
		if _, err := u.WriteTo(payload, &net.UDPAddr{IP: net.IPv4(10, 77, 0, 1), Port: 9}); err != nil {
			t.Fatal(err)
		}
	}
	frames := c.Stop()
	if c.Lost() == 0 || c.Err() == nil {
		t.Fatalf("%d frames of %d held, lost %d, error %v", len(frames), count, c.Lost(), c.Err())
	}
	if uint64(len(frames))+c.Lost() != count {
		t.Errorf("%d held + %d lost is not the %d sent", len(frames), c.Lost(), count)
	}
}

// udpNoPorts is the target kernel's count of datagrams to closed ports.
func udpNoPorts(t *testing.T, n *Network) (count int) {
	t.Helper()
	err := n.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		_, udp, _ := strings.Cut(string(b), "\nUdp: InDatagrams NoPorts ")
		_, udp, _ = strings.Cut(udp, "\nUdp: ")
		_, err = fmt.Sscan(udp, new(int), &count)
		return err
	})
	if err != nil {
		t.Fatalf("read the target's counters: %v", err)
	}
	return count
}

// Closed UDP ports answer each datagram with an ICMP error, so what is missing
// from the replies was lost on the way there or back. It also shows that the
// target's ICMP errors are not rate-limited.
func TestLoss(t *testing.T) {
	const count = 20_000
	for _, c := range []struct {
		name    string
		percent float64
		d       Direction
		arrive  float64 // share that the target's UDP sees
		answers float64
	}{
		{"none", 0, Both, 1, 1},
		{"in", 20, In, 0.8, 0.8},
		{"out", 5, Out, 1, 0.95},
		{"both", 10, Both, 0.9, 0.81},
		{"all", 100, In, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := New(t, Config{Gateway: true})
			n.Loss(c.percent, c.d)
			capture := n.Capture(t)
			sendUDP(t, n, 9, count)
			in, out := 0, 0
			for _, f := range capture.Stop() {
				switch ip := parse(t, f).IP; {
				case ip == nil:
				case f.Outgoing && ip.Protocol == packet.ProtocolICMPv4:
					out++
				case !f.Outgoing && ip.Protocol == packet.ProtocolUDP:
					in++
				}
			}
			if in != count {
				t.Errorf("%d of %d came over the link", in, count)
			}
			for _, v := range []struct {
				what  string
				got   int
				share float64
			}{{"arrived", udpNoPorts(t, n), c.arrive}, {"were answered", out, c.answers}} {
				// Five standard deviations of the binomial distribution.
				want, allowed := v.share*count, 5*math.Sqrt(count*v.share*(1-v.share))
				if math.Abs(float64(v.got)-want) > allowed {
					t.Errorf("%d %s, want %.0f ± %.0f", v.got, v.what, want, allowed)
				}
			}
		})
	}
}

func TestDoReturnsHome(t *testing.T) {
	n := New(t, Config{})
	home, err := currentNamespace()
	if err != nil {
		t.Fatal(err)
	}
	var there string
	wrong := errors.New("wrong")
	if err := n.Do(func() error { there, _ = currentNamespace(); return wrong }); !errors.Is(err, wrong) {
		t.Errorf("Do returned %v", err)
	}
	if there == home || there == "" {
		t.Errorf("Do ran in %q, home is %q", there, home)
	}
	for range 50 { // on whatever threads the runtime has
		done := make(chan string)
		go func() { s, _ := currentNamespace(); done <- s }()
		if s := <-done; s != home {
			t.Fatalf("a goroutine is in %s, home is %s", s, home)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	Require(t)
	for range 3 { // the second one finds addresses, names and routes free again
		n, err := Open(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Serve("0.0.0.0:80"); err != nil {
			t.Fatal(err)
		}
		if err := dial("10.77.0.1:80"); err != nil {
			t.Error(err)
		}
		if err := errors.Join(n.Close(), n.Close()); err != nil {
			t.Error(err)
		}
		select {
		case <-n.ports[0].done:
		default:
			t.Error("a listener is left")
		}
		links, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			if strings.HasPrefix(l.Name, InterfacePrefix) {
				t.Errorf("%s is left", l.Name)
			}
		}
	}
}

func TestTwoNetworks(t *testing.T) {
	a := New(t, Config{})
	b := New(t, Config{
		Prefix: netip.MustParsePrefix("10.79.0.0/24"), Subnet: netip.MustParsePrefix("10.78.0.0/30"), Gateway: true,
	})
	a.Listen(t, "0.0.0.0:80")
	b.Listen(t, "0.0.0.0:81")
	for addr, open := range map[string]bool{
		"10.77.0.1:80": true, "10.77.0.1:81": false, "10.79.0.1:80": false, "10.79.0.1:81": true,
	} {
		if err := dial(addr); (err == nil) != open {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	Require(t)
	for _, c := range []Config{
		{Prefix: netip.MustParsePrefix("2001:db8::/64")},
		{Subnet: netip.MustParsePrefix("10.76.0.0/31")},
	} {
		if n, err := Open(c); err == nil {
			n.Close()
			t.Errorf("%+v was accepted", c)
		}
	}
	n := New(t, Config{})
	n.t = nil // its errors are wanted here
	if err := n.Loss(101, In); err == nil {
		t.Error("a loss of 101 % was accepted")
	}
	if err := n.Loss(math.NaN(), In); err == nil {
		t.Error("a loss of NaN % was accepted")
	}
	if _, err := n.Serve("10.99.0.1:80"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("listening on a foreign address: %v", err)
	}
}
