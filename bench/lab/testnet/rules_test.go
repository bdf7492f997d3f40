//go:build linux

package testnet

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"synoptic/bench/lab/packet"
)

// udpOrICMP passes IPv4 with those protocols.
var udpOrICMP = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x0800, SkipTrue: 4},
	bpf.LoadAbsolute{Off: 23, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 17, SkipTrue: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 1, SkipTrue: 1},
	bpf.RetConstant{Val: 0xffff},
	bpf.RetConstant{Val: 0},
}

// What arrives in bursts is what the clock says, both ways, on the time stamps of the far end's
// capture. Closed UDP ports answer each datagram with an ICMP error that quotes it. A processor that
// is taken away between a frame's stamp and its rule puts that frame on the wrong side: few do.
func TestBursts(t *testing.T) {
	const (
		on, period = 60 * time.Millisecond, 250 * time.Millisecond
		edge       = 5 * time.Millisecond // between the stamp and the rule
	)
	n := New(t, Config{Gateway: true})
	if err := n.Bursts(on, period); err != nil {
		t.Fatal(err)
	}
	capture := n.Capture(t, udpOrICMP...)
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: n.Source.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	count, during := 0, 0 // datagrams, and those that are sent in bursts
	for begin := time.Now(); time.Since(begin) < 4*period || (count < 500 || during < count/10) && time.Since(begin) < time.Minute; time.Sleep(200 * time.Microsecond) {
		if time.Duration(time.Now().UnixNano()%int64(period)) < on {
			during++
		}
		payload := binary.BigEndian.AppendUint32(nil, uint32(count))
		if _, err := c.WriteToUDPAddrPort(payload, netip.MustParseAddrPort("10.77.1.2:9")); err != nil {
			t.Fatal(err)
		}
		count++
	}
	answered := map[uint32]bool{}
	frames := capture.Stop()
	for _, f := range frames {
		if q := parse(t, f).Quote(); q != nil && f.Outgoing && len(q.IP.Payload) == 8+4 {
			answered[binary.BigEndian.Uint32(q.IP.Payload[8:])] = true
		}
	}
	probes, inside, late := 0, 0, 0
	for _, f := range frames {
		p := parse(t, f)
		if f.Outgoing || p.IP.Protocol != packet.ProtocolUDP {
			continue
		}
		probes++
		k := binary.BigEndian.Uint32(p.IP.Payload[8:])
		phase := time.Duration(f.Time.UnixNano() % int64(period))
		if phase > on-edge && phase < on+edge || phase > period-edge || phase < edge {
			continue
		}
		if phase < on {
			inside++
		}
		if answered[k] == (phase < on) {
			late++
			t.Logf("datagram %d at %v of %v: answered %v", k, phase, period, answered[k])
		}
	}
	// A burst that is 20 ms too long puts 6 of 100 on the wrong side.
	if probes != count || inside < count/20 || late > count/25 {
		t.Errorf("%d of %d captured, %d in bursts, %d on the wrong side", probes, count, inside, late)
	}
	t.Logf("%d datagrams, %d in bursts, %d on the wrong side", probes, inside, late)
}

// Bursts hit what the targets send by themselves, too.
func TestBurstsFromTheTarget(t *testing.T) {
	n := New(t, Config{Gateway: true})
	if err := n.Bursts(time.Second, time.Second); err != nil { // always
		t.Fatal(err)
	}
	err := n.Do(func() error {
		c, err := net.Dial("udp4", netip.AddrPortFrom(n.Source, 9).String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	})
	// The output hook reports its drop to the sender.
	if err == nil {
		t.Error("a datagram got out during a burst")
	}
}

func TestBurstsRefuses(t *testing.T) {
	n := New(t, Config{})
	n.t = nil // its errors are wanted here
	for _, c := range [][2]time.Duration{{0, time.Second}, {-1, time.Second}, {2 * time.Second, time.Second}, {time.Millisecond, 10 * time.Millisecond}} {
		if err := n.Bursts(c[0], c[1]); err == nil {
			t.Errorf("%v was accepted", c)
		}
	}
}

// The counter sees what was sent, whatever is lost later, by destination, and SYNs only.
func TestCountSYN(t *testing.T) {
	n := New(t, Config{Gateway: true})
	n.Loss(100, In)
	all, err := n.CountSYN(Match{})
	if err != nil {
		t.Fatal(err)
	}
	one, err := n.CountSYN(Match{Port: 81, Prefix: netip.MustParsePrefix("10.77.1.0/24")})
	if err != nil {
		t.Fatal(err)
	}
	// A kernel that gives up after the first SYN: one per connection. Where we are held up it goes on after
	// 1, 3, 7 … seconds (RFC 6298).
	d := net.Dialer{Timeout: 20 * time.Millisecond}
	again := uint64(0)
	for _, addr := range []string{"10.77.0.1:80", "10.77.1.2:80", "10.77.1.2:81", "10.77.1.3:81", "10.77.2.2:81"} {
		begin := time.Now()
		if conn, err := d.Dial("tcp4", addr); err == nil {
			conn.Close()
			t.Errorf("%s answered", addr)
		}
		again += uint64(math.Log2(1.1 + time.Since(begin).Seconds())) // no timer is early, but this clock is coarse
	}
	sendUDP(t, n, 81, 10)
	count := func(c *Counter) uint64 {
		v, err := c.Value()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	counted := count(all)
	if counted < 5 || counted > 5+again {
		t.Errorf("counted %d SYNs, want 5, and %d more at most", counted, again)
	}
	if got := count(one); got < 2 || got > 2+again {
		t.Errorf("counted %d SYNs to port 81 of one /24, want 2, and %d more at most", got, again)
	}
	if got := count(all); got != counted {
		t.Errorf("reading changed the count to %d", got)
	}

	// A whole connection is one SYN: neither ACK nor FIN, nor what the target sends. Nor is the SYN-ACK
	// that answers a connection from there.
	m := New(t, Config{Prefix: netip.MustParsePrefix("10.79.0.0/24"), Subnet: netip.MustParsePrefix("10.78.0.0/30"), Gateway: true})
	m.Listen(t, "0.0.0.0:80")
	c, err := m.CountSYN(Match{})
	if err != nil {
		t.Fatal(err)
	}
	if err := dial("10.79.0.7:80"); err != nil {
		t.Fatal(err)
	}
	if err := dial("10.79.0.7:81"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a closed port: %v", err)
	}
	back, err := net.Listen("tcp4", netip.AddrPortFrom(m.Source, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if err := m.Do(func() error { return dial(back.Addr().String()) }); err != nil {
		t.Fatal(err)
	}
	if got := count(c); got != 2 {
		t.Errorf("two connections counted as %d SYNs", got)
	}
}
