package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"time"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/testnet"
)

// road is a network for one run:
//
//	scanner ── net ── router ── hosts, with the bottleneck on the router's end ── targets, whose answers may be delayed
type road struct {
	net, hosts *testnet.Network
	line       *testnet.DelayLine
	open       map[netip.AddrPort]bool
}

// way says what a road is like.
type way struct {
	targets  netip.Prefix
	alive    []netip.Prefix // of them, answered for by a kernel
	lan      bool           // the router asks for each target by ARP
	rate     float64        // bytes a second; 0: no bottleneck
	queue    time.Duration
	trip     time.Duration // of a round, on top of what veth takes
	loss     float64       // per cent, each way, behind the bottleneck
	port     uint16
	open     int  // so many live addresses listen on port; -1: all of them do
	separate bool // the router receives on the second processor
}

var nowhere = netip.MustParsePrefix("192.0.2.1/32")

func build(w way) (r *road, err error) {
	r = &road{open: map[netip.AddrPort]bool{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.net, err = testnet.Open(testnet.Config{Prefix: w.targets, Gateway: true, Alive: []netip.Prefix{nowhere}}); err != nil {
		return r, err
	}
	if r.hosts, err = r.net.OpenBehind(testnet.Config{Prefix: w.targets, Gateway: !w.lan, Alive: w.alive}); err != nil {
		return r, err
	}
	if w.rate > 0 {
		if err := r.hosts.Bottleneck(w.rate, w.queue); err != nil {
			return r, err
		}
	}
	if w.loss > 0 {
		if err := r.hosts.Loss(w.loss, testnet.Both); err != nil {
			return r, err
		}
	}
	if w.trip > 0 {
		if r.line, err = r.hosts.Delay(r.net.Source, w.trip); err != nil {
			return r, err
		}
	}
	if w.separate {
		// sysfs shows the namespace that it was mounted in.
		set := fmt.Sprintf("mount -t sysfs none /sys && echo 2 > /sys/class/net/%s/queues/rx-0/rps_cpus", r.net.PeerLink)
		err := r.net.Do(func() error {
			if out, err := exec.Command("unshare", "--mount", "sh", "-c", set).CombinedOutput(); err != nil {
				return fmt.Errorf("receive on another processor: %w: %s", err, out)
			}
			return nil
		})
		if err != nil {
			return r, err
		}
	}
	return r, r.listen(w)
}

// listen opens the port on every live address, or on some, the same for every run.
func (r *road) listen(w way) error {
	var live []netip.Addr
	for _, p := range w.alive {
		for a := p.Addr(); p.Contains(a); a = a.Next() {
			live = append(live, a)
		}
	}
	if w.open >= 0 {
		random := rand.New(rand.NewPCG(12, 2026))
		random.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
		live = live[:min(w.open, len(live))]
	}
	for _, a := range live {
		e := netip.AddrPortFrom(a, w.port)
		r.open[e] = true
		if w.open < 0 {
			continue
		}
		if _, err := r.hosts.Serve(e.String()); err != nil {
			return err
		}
	}
	if w.open < 0 {
		_, err := r.hosts.Serve(fmt.Sprintf("0.0.0.0:%d", w.port))
		return err
	}
	return nil
}

// found counts what is truly open of what a tool has reported, and what is not.
func (r *road) found(reported map[netip.AddrPort]bool) (found, invented int) {
	for e := range reported {
		if r.open[e] {
			found++
		} else {
			invented++
		}
	}
	return found, invented
}

// linkDrops counts the packets, either way, that a link dropped since its other end had no room: neither the bottleneck nor the loss asked for.
func (r *road) linkDrops() (n uint64, err error) {
	for _, name := range []string{r.net.Link, r.net.PeerLink, r.hosts.Link, r.hosts.PeerLink} {
		inside := func(f func() error) error { return f() }
		switch name {
		case r.net.PeerLink, r.hosts.Link:
			inside = r.net.Do
		case r.hosts.PeerLink:
			inside = r.hosts.Do
		}
		err := inside(func() error {
			l, err := netlink.LinkByName(name)
			if err == nil {
				n += l.Attrs().Statistics.TxDropped
			}
			return err
		})
		if err != nil {
			return n, fmt.Errorf("drops of %s: %w", name, err)
		}
	}
	return n, nil
}

// undelay ends the delay of answers, and tells how late they left: what one in a hundred exceeded, and the most, in seconds.
func (r *road) undelay() (hundredth, most float64, err error) {
	if r.line == nil {
		return 0, 0, nil
	}
	err = r.line.Close()
	_, _, h, m := r.line.Late()
	r.line = nil
	return h.Seconds(), m.Seconds(), err
}

// Close takes the road away.
func (r *road) Close() (err error) {
	if r.line != nil {
		err = r.line.Close()
	}
	for _, n := range []*testnet.Network{r.hosts, r.net} {
		if n != nil {
			err = errors.Join(err, n.Close())
		}
	}
	return err
}

// halves splits a prefix.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	low = netip.PrefixFrom(p.Addr(), p.Bits()+1)
	a := p.Addr().As4()
	bit := p.Bits()
	a[bit/8] |= 0x80 >> (bit % 8)
	return low, netip.PrefixFrom(netip.AddrFrom4(a), p.Bits()+1)
}

// everyOther are half of a prefix's addresses, in 16 parts: who goes from its beginning to its end and is stopped has met as many of them as who
// goes in another order.
func everyOther(p netip.Prefix) []netip.Prefix {
	parts := []netip.Prefix{p}
	for range 5 {
		var finer []netip.Prefix
		for _, q := range parts {
			low, high := halves(q)
			finer = append(finer, low, high)
		}
		parts = finer
	}
	var half []netip.Prefix
	for i := 0; i < len(parts); i += 2 {
		half = append(half, parts[i])
	}
	return half
}
