package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// onlyNetRaw runs the program as another user who has CAP_NET_RAW and no other right.
func onlyNetRaw(t *testing.T, args ...string) outcome {
	t.Helper()
	testnet.RequireUsers(t)
	const capNetRaw, nobody = 13, 65534
	cmd := exec.Command(program(t), args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: []uintptr{capNetRaw}}
	return finish(t, cmd)
}

// Every SYN-ACK is answered by one RST that closes the connection at the far end: sent by the program, or by
// the host where the driver does not let the program send. Each has the machine for itself: a ring that is full loses
// a reset without telling.
func TestResets(t *testing.T) {
	for _, c := range []struct {
		name string
		backend
		napi bool
	}{{"xdp", xdp, true}, {"ebpf", ebpf, true}, {"xdp without NAPI", xdp, false}} {
		t.Run(c.name, func(t *testing.T) {
			testnet.RequireXDP(t)
			prefix := netip.MustParsePrefix("10.77.0.0/21")
			n := network(t, testnet.Config{Gateway: true})
			if c.napi {
				n.NAPI(t)
			}
			n.Listen(t, "0.0.0.0:80")
			bound := stall.Bound{Gap: keepsUp.Gap, Budget: 10} // beside a busy processor, every other run of ebpf is void
			stall.Judge(t, bound, func() error {
				capture, unreturned := n.Capture(t), n.Unreturned(t)
				s := parseStream(t, synoptic(t, c.scan(20_000, prefix.String(), "-p", "80,81", "--retries", "0", "--syn-profile", "linux")...).stdout)
				c.used(t, s)
				if err := checkResets(t, capture.Stop(), prefix); err != nil {
					if lost := n.Unreturned(t) - unreturned; lost > 0 {
						return stall.Void(fmt.Errorf("%w, and the other end had no room for %d frames", err, lost))
					}
					return err
				}
				if s.end.Open != 2048 || s.end.Closed != 2048 { // what the link drops is silent
					return fmt.Errorf("scan_end %+v", s.end)
				}
				return nil
			})
		})
	}
}

// checkResets holds each RST against the SYN-ACK that it answers (RFC 9293 section 3.10.7.1). Its error is what a
// link that drops brings about.
func checkResets(t *testing.T, frames []testnet.Frame, prefix netip.Prefix) error {
	t.Helper()
	type flow struct {
		target endpoint
		port   uint16 // ours
	}
	synAcks, resets := map[flow]uint32{}, map[flow]int{}
	for _, f := range frames {
		p, err := packet.ParseEthernet(f.Data)
		if err != nil || p.TCP() == nil || p.TCP().SrcPort == beaconPort || p.TCP().DstPort == beaconPort {
			continue // beacons are the host's to reset
		}
		switch tcp := p.TCP(); {
		case f.Outgoing && tcp.Flags == packet.SYN|packet.ACK:
			synAcks[flow{p.From(), tcp.DstPort}] = tcp.Ack
		case !f.Outgoing && tcp.Flags&packet.RST != 0:
			k := flow{p.To(), tcp.SrcPort}
			ack, answered := synAcks[k]
			if resets[k]++; !answered || resets[k] > 1 {
				t.Fatalf("reset %d to %v, whose SYN-ACK was seen: %v", resets[k], k, answered)
			}
			if !packet.Ethernet(t, f.Data, packet.Checksum(),
				packet.TCP(packet.Flags(packet.RST), packet.Seq(ack), packet.Payload(), packet.Checksum())) {
				t.FailNow()
			}
		}
	}
	for k := range synAcks {
		if !prefix.Contains(k.target.Addr()) {
			t.Errorf("SYN-ACK of %v", k)
		}
	}
	if len(synAcks) == 0 || len(resets) != len(synAcks) {
		return fmt.Errorf("%d SYN-ACKs, %d of them reset", len(synAcks), len(resets))
	}
	return nil
}

// Other traffic of the host on the interface goes on while programs scan: connections, datagrams, echo
// requests, and the ARP that they need.
func TestOtherTraffic(t *testing.T) { eachBackendBeside(t, otherTraffic, xdp, ebpf) }

func otherTraffic(t *testing.T, b backend) {
	n := b.beside(t, testnet.Config{Gateway: true})
	prefix := netip.MustParsePrefix("10.77.0.0/16")
	server := netip.MustParseAddrPort("10.77.1.1:7000")
	var tcp net.Listener
	var udp net.PacketConn
	if err := n.Do(func() (err error) {
		if tcp, err = net.Listen("tcp", server.String()); err == nil {
			udp, err = net.ListenPacket("udp", server.String())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	defer udp.Close()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	go func() {
		for buf := make([]byte, 2048); ; {
			k, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			udp.WriteTo(buf[:k], from)
		}
	}()

	// Ports enough that the scan lasts until it is told to stop; one of them is open everywhere.
	n.Listen(t, "0.0.0.0:80")
	cmd := exec.Command(program(t), b.scan(20_000, prefix.String(), "-p", "80,1000-1999", "--retries", "0", "--exclude", server.Addr().String())...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // where the test has failed it runs on
	lines := bufio.NewScanner(stdout)
	var out strings.Builder
	for range 20 {
		if !lines.Scan() {
			t.Fatal("the scan ended")
		}
		out.WriteString(lines.Text() + "\n")
	}
	ended := make(chan struct{})
	go func() {
		for lines.Scan() {
			out.WriteString(lines.Text() + "\n")
		}
		cmd.Wait()
		close(ended)
	}()
	if programOn(t, n.Link) == 0 {
		t.Error("no program on the interface while it scans")
	}
	for round := range 5 {
		forgetNeighbour(t, n)
		echoTCP(t, server, bytes.Repeat([]byte{byte(round)}, 100_000))
		echoUDP(t, server)
		ping(t, n.Source, server.Addr(), round)
	}
	select {
	case <-ended:
		t.Error("the scan ended before the other traffic did")
	default:
		cmd.Process.Signal(os.Interrupt)
		<-ended
	}
	s := parseStream(t, out.String())
	b.used(t, s)
	if s.end.Error != "" || s.end.TxErrors != 0 || s.end.Invalid != 0 {
		t.Errorf("scan_end %+v", s.end)
	}
	if programOn(t, n.Link) != 0 {
		t.Error("the program stayed on the interface")
	}
}

// patience is how long a test waits for an answer on a busy machine.
const patience = time.Minute

// answerTime is how long it waits before it asks again.
const answerTime = time.Second

// forgetNeighbour makes the host ask for the gateway's MAC address again.
func forgetNeighbour(t *testing.T, n *testnet.Network) {
	t.Helper()
	link, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.NeighDel(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: n.GatewayAddr.AsSlice()}); err != nil && !strings.Contains(err.Error(), "no such") {
		t.Fatal(err)
	}
}

func echoTCP(t *testing.T, server netip.AddrPort, data []byte) {
	t.Helper()
	c, err := net.DialTimeout("tcp", server.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	go func() {
		c.Write(data)
		c.(*net.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes came back over TCP: %v", len(got), len(data), err)
	}
}

func echoUDP(t *testing.T, server netip.AddrPort) {
	t.Helper()
	c, err := net.Dial("udp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 100)
	for end := time.Now().Add(patience); ; { // a queue that is full may drop some
		c.Write([]byte("datagram"))
		c.SetReadDeadline(time.Now().Add(answerTime))
		k, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(end) {
			continue
		}
		if err != nil || string(buf[:k]) != "datagram" {
			t.Errorf("%q came back over UDP: %v", buf[:k], err)
		}
		return
	}
}

func ping(t *testing.T, from, to netip.Addr, seq int) {
	t.Helper()
	c, err := icmp.ListenPacket("ip4:icmp", from.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 7, Seq: seq, Data: []byte("echo")}}
	b, err := request.Marshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	end, asked := time.Now().Add(patience), time.Time{}
	for buf := make([]byte, 1500); ; {
		if time.Since(asked) > answerTime {
			asked = time.Now()
			if _, err := c.WriteTo(b, &net.IPAddr{IP: to.AsSlice()}); err != nil {
				t.Fatal(err)
			}
		}
		c.SetReadDeadline(time.Now().Add(answerTime))
		k, _, err := c.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(end) {
			continue
		}
		if err != nil {
			t.Errorf("no echo reply: %v", err)
			return
		}
		m, err := icmp.ParseMessage(1, buf[:k])
		if err == nil && m.Type == ipv4.ICMPTypeEchoReply && m.Body.(*icmp.Echo).Seq == seq {
			return
		}
	}
}

// A scanner that is killed leaves no program on the interface, and the next scan works.
func TestKilled(t *testing.T) { eachBackendBeside(t, killed, xdp, ebpf) }

func killed(t *testing.T, b backend) {
	n := b.beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	for range 2 {
		cmd := exec.Command(program(t), b.scan(20_000, "10.77.0.0/16", "-p", "80,1000-1999")...)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		for range 2 {
			if !lines.Scan() {
				t.Error("the scan ended")
			}
		}
		if programOn(t, n.Link) == 0 {
			t.Error("no program on the interface while it scans")
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		for end := time.Now().Add(patience); programOn(t, n.Link) != 0; time.Sleep(time.Millisecond) { // the kernel may free it a little later
			if time.Now().After(end) {
				t.Fatal("the program stayed on the interface")
			}
		}
		s := parseStream(t, synoptic(t, b.scan(20_000, "10.77.0.0/24", "-p", "80,81")...).stdout)
		b.used(t, s)
		if s.end.Open != 256 || s.end.Closed != 256 || !s.end.Complete {
			t.Errorf("the scan after: %+v", s.end)
		}
		if programOn(t, n.Link) != 0 {
			t.Error("the program stayed on the interface after a scan")
		}
	}
}
