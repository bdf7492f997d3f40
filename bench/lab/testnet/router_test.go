//go:build linux

package testnet

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"testing"
	"time"
)

// A router before the targets, with a bottleneck behind it that drops what is too much, and answers that take their time.
func TestBehindBottleneck(t *testing.T) {
	t.Parallel()
	Apart(t)
	n := New(t, Config{Gateway: true, Alive: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}})
	hosts, err := n.OpenBehind(Config{Prefix: n.Prefix, Gateway: true, Alive: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/17")}})
	if err != nil {
		t.Fatal(err)
	}
	defer hosts.Close()
	trip := func() time.Duration {
		begun := time.Now()
		if err := dial("10.77.1.2:81"); err == nil { // closed: a reset
			t.Error("an open port")
		}
		return time.Since(begun)
	}
	trip() // and the router knows its neighbour
	const delay = 100 * time.Millisecond
	quick := min(trip(), trip(), trip())
	line, err := hosts.Delay(n.Source, delay)
	if !errors.Is(err, fs.ErrPermission) { // as it is in a user namespace
		if err != nil {
			t.Fatal(err)
		}
		slow := trip()
		if err := line.Close(); err != nil {
			t.Error(err)
		}
		if packets, _, _, _ := line.Late(); slow < delay || packets != 1 {
			t.Errorf("%v, with a delay of %v %v; %d packets delayed", quick, delay, slow, packets)
		}
		if err := hosts.answerTo(n.Source, hosts.PeerLink, hosts.Source); err != nil {
			t.Fatal(err)
		}
	}

	if err := hosts.Bottleneck(58*100, 20*time.Millisecond); err != nil { // 100 packets a second; the burst and the queue are one full frame each
		t.Fatal(err)
	}
	before, err := hosts.Passed()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp4", "10.77.200.1:9") // nobody
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const sent = 400
	for range sent {
		if _, err := c.Write(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
	var after Passed
	for range 500 {
		if after, err = hosts.Passed(); err != nil {
			t.Fatal(err)
		}
		if after.Packets+after.Dropped-before.Packets-before.Dropped >= sent {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	passed, dropped := after.Packets-before.Packets, after.Dropped-before.Dropped
	if passed+dropped != sent || passed == 0 || dropped < sent/4 || (after.Bytes-before.Bytes)/passed != 58 {
		t.Errorf("of %d packets of 58 bytes %d passed and %d were dropped; %d bytes", sent, passed, dropped, after.Bytes-before.Bytes)
	}
	if err := hosts.Bottleneck(10, time.Second); err == nil {
		t.Error("a bottleneck of 10 bytes a second was taken")
	}
}
