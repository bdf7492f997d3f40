package sim

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/rawsock"
	"synoptic/scan/probe"
)

// Each fault does what it says while it holds, and nothing before and after.
func TestFaults(t *testing.T) {
	const begin, end = 100 * ms, 200 * ms
	for _, c := range []struct {
		fault Fault
		fate  Fate // of a probe that is sent meanwhile
	}{
		{Fault{Kind: PathOut}, Cut},
		{Fault{Kind: HopOut}, Swallowed},
		{Fault{Kind: HopOut, Gateway: addr("192.0.2.99")}, Answered},
		{Fault{Kind: NewMAC}, Swallowed},
		{Fault{Kind: PrefixOut}, Cut},
		{Fault{Kind: PrefixOut, Prefix: netip.MustParsePrefix("10.0.0.0/24")}, Cut},
		{Fault{Kind: PrefixOut, Prefix: netip.MustParsePrefix("10.0.1.0/24")}, Answered},
		{Fault{Kind: RSTStorm, Prefix: netip.MustParsePrefix("10.0.0.1/32")}, Answered},
		{Fault{Kind: TxError}, Refused},
		{Fault{Kind: TxError, Link: "eth1"}, Answered},
	} {
		bubble.Test(t, func(t *testing.T) {
			c.fault.Begin, c.fault.End = begin, end
			p := newProber(t, allOpen(Config{Faults: []Fault{c.fault}}))
			for range 3 {
				p.craft(0, addr("10.0.0.1"), 80, 0)
				if _, err := p.tx.Send(0, 1); (err != nil) != (c.fate == Refused && p.net.Now() == begin) {
					t.Errorf("%+v: at %v: %v", c.fault, p.net.Now(), err)
				}
				time.Sleep(100 * ms)
			}
			l := p.net.Log()
			if l.Probes[0].Fate != Answered || l.Probes[1].Fate != c.fate || l.Probes[2].Fate != Answered {
				t.Errorf("%+v: %v, %v, %v; want %v in between", c.fault, l.Probes[0].Fate, l.Probes[1].Fate, l.Probes[2].Fate, c.fate)
			}
			if got := p.receive(0); c.fault.Kind == RSTStorm && (got[0].Kind != probe.KindSYNACK || got[1].Kind != probe.KindRST || !got[1].genuine) {
				t.Errorf("in a storm of RSTs: %+v", got)
			}
		})
	}
}

// An outage takes what is under way too, in either direction.
func TestOutageCutsWhatIsUnderWay(t *testing.T) {
	for _, c := range []struct {
		at   time.Duration
		want int
	}{{0, 1}, {5 * ms, 1}, {45 * ms, 0}, {90 * ms, 0}, {130 * ms, 1}} {
		bubble.Test(t, func(t *testing.T) {
			p := newProber(t, allOpen(Config{Out: Leg{Delay: 40 * ms}, Back: Leg{Delay: 40 * ms}, Faults: []Fault{{Kind: PathOut, Begin: 86 * ms, End: 128 * ms}}}))
			time.Sleep(c.at)
			p.send(addr("10.0.0.1"), 80, 0)
			if got := len(p.receive(time.Second)); got != c.want {
				t.Errorf("sent at %v: %d answers, want %d", c.at, got, c.want)
			}
		})
	}
}

// A gateway that changes its link address swallows nothing of what goes to the new one.
func TestNewMAC(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newProber(t, allOpen(Config{Faults: []Fault{{Kind: NewMAC, Begin: 50 * ms}}}))
		gateway := p.net.config.Routes[0].Gateway
		old := p.net.hopMAC(gateway, p.net.Now())
		time.Sleep(50 * ms)
		mac := p.net.hopMAC(gateway, p.net.Now())
		for i, m := range [][6]byte{old, mac} {
			p.craft(0, addr("10.0.0.1"), 80, i)
			p.tmpl.PatchMAC(p.tx.Frames()[0], m)
			if _, err := p.tx.Send(0, 1); err != nil {
				t.Fatal(err)
			}
		}
		l := p.net.Log()
		if old == mac || l.Probes[0].Fate != Swallowed || l.Probes[1].Fate != Answered {
			t.Errorf("% x: %v, % x: %v", old, l.Probes[0].Fate, mac, l.Probes[1].Fate)
		}
	})
}

// A transmitter without room takes some or none, waits as long as a real one, and says so.
func TestBackpressure(t *testing.T) {
	for _, kind := range []Kind{TxFull, CarrierOut} {
		bubble.Test(t, func(t *testing.T) {
			p := newProber(t, allOpen(Config{Faults: []Fault{{Kind: kind, Begin: 10 * ms, End: 130 * ms}}}))
			time.Sleep(10 * ms)
			at, errs := 0, 0
			for at < 8 {
				for i := at; i < 8; i++ {
					p.craft(i, addr("10.0.0.1"), uint16(i+1), 0)
				}
				begun := p.net.Now()
				n, err := p.tx.Send(at, 8)
				at += n
				if err == nil {
					break
				}
				errs++
				if took := p.net.Now() - begun; !errors.Is(err, rawsock.ErrBackpressure) || took != rawsock.MaxSendWait {
					t.Fatalf("%v: %v after %v", kind, err, took)
				}
			}
			s := p.tx.Stats()
			if at != 8 && errs != 2 || p.net.Now() != 130*ms || s.Sent != 8 || s.Backpressure != 3 {
				t.Errorf("%v: %d frames taken with %d errors by %v: %+v", kind, at, errs, p.net.Now(), s)
			}
			if l := p.net.Log(); len(l.Probes) != 8 || len(p.receive(0)) != 8 {
				t.Errorf("%v: %d probes", kind, len(l.Probes))
			}
		})
	}
}

// What a driver refuses is neither sent nor taken for sent; frames before it are, and those after it not yet.
func TestTxError(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newProber(t, allOpen(Config{Faults: []Fault{{Kind: TxError, Share: 0.3}}}))
		for i := range 8 {
			p.craft(i, addr("10.0.0.1"), uint16(i+1), 0)
		}
		var refused int
		for at := 0; at < 8; {
			n, err := p.tx.Send(at, 8)
			at += n
			if err != nil {
				refused++
				at++
			}
		}
		if got := len(p.receive(0)); got+refused != 8 || refused == 0 || refused == 8 || p.tx.Stats().Errors != uint64(refused) {
			t.Errorf("%d answered, %d refused: %+v", got, refused, p.tx.Stats())
		}
	})
}

// Memory changes hands: a frame that was sent is not that of the next batch.
func TestFramesChange(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newProber(t, allOpen(Config{}))
		before := &p.tx.Frames()[0][0]
		p.send(addr("10.0.0.1"), 80, 0)
		after := &p.tx.Frames()[0][0]
		if before == after {
			t.Error("the same memory")
		}
		p.send(addr("10.0.0.2"), 80, 0)
		if l := p.net.Log(); len(l.Malformed) > 0 || len(p.receive(0)) != 2 {
			t.Error(l.Malformed)
		}
	})
}

// A link that is down tells senders and receivers, and no socket can be opened.
func TestLinkDown(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newProber(t, allOpen(Config{Back: Leg{Delay: 20 * ms}, Faults: []Fault{{Kind: LinkDown, Begin: 50 * ms, End: 100 * ms}}}))
		p.send(addr("10.0.0.1"), 80, 0)
		if got := p.receive(20 * ms); len(got) != 1 {
			t.Fatalf("%d answers", len(got))
		}
		if ready, err := p.rx[0].Wait(time.Minute); ready || !errors.Is(err, rawsock.ErrInterface) || p.net.Now() != 50*ms {
			t.Errorf("receiver at %v: %v, %v", p.net.Now(), ready, err)
		}
		if n, err := p.tx.Send(0, 1); n != 0 || !errors.Is(err, rawsock.ErrInterface) {
			t.Errorf("sender: %d, %v", n, err)
		}
		if _, err := p.net.NewRx(rawsock.RxConfig{Interface: 2, PortMin: 1, PortMax: 2}, 1); !errors.Is(err, rawsock.ErrInterface) {
			t.Errorf("new receiver: %v", err)
		}
		if _, err := p.net.NewTx(0, rawsock.TxConfig{Interface: 2, FrameLen: 58, Batch: 1}); !errors.Is(err, rawsock.ErrInterface) {
			t.Errorf("new sender: %v", err)
		}
	})
}

// A receiver waits as long as it is told, sees what has come when it has, and holds what fits.
func TestReceiver(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newProber(t, allOpen(Config{Back: Leg{Delay: 30 * ms}, Retire: 5 * ms, Ring: 3}))
		rx := p.rx[0]
		if ready, err := rx.Wait(10 * ms); ready || err != nil || p.net.Now() != 10*ms {
			t.Errorf("nothing comes: %v, %v at %v", ready, err, p.net.Now())
		}
		rx.Wake()
		if ready, err := rx.Wait(-1); ready || err != nil || p.net.Now() != 10*ms {
			t.Errorf("woken before: %v, %v at %v", ready, err, p.net.Now())
		}
		time.AfterFunc(10*ms, rx.Wake)
		if ready, err := rx.Wait(-1); ready || err != nil || p.net.Now() != 20*ms {
			t.Errorf("woken meanwhile: %v, %v at %v", ready, err, p.net.Now())
		}
		time.AfterFunc(5*ms, func() {
			for i := range 5 {
				p.send(addr("10.0.0.1"), uint16(i+1), 0)
			}
		})
		if ready, err := rx.Wait(time.Minute); !ready || err != nil || p.net.Now() != 60*ms {
			t.Errorf("an answer: %v, %v at %v, want 5 ms of retire after 55 ms", ready, err, p.net.Now())
		}
		got := p.receive(0)
		if len(got) != 3 || got[0].at != 55*ms {
			t.Errorf("%d answers, the first at %v", len(got), got[0].at)
		}
		for _, h := range got {
			if h.data[0] != 0 {
				t.Errorf("memory that was given back still holds % x", h.data[:20])
			}
		}
		if s, err := rx.Stats(); s.Packets != 3 || s.Drops != 2 || err != nil {
			t.Errorf("%+v, %v", s, err)
		}
		if _, answers := p.net.Log().Count(); answers[Handed] != 3 || answers[Dropped] != 2 {
			t.Errorf("%v", answers)
		}
	})
}

// Standing still takes time and loses nothing but what the ring cannot hold.
func TestStalls(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newProber(t, allOpen(Config{Ring: 6, Faults: []Fault{
			{Kind: ReceiveStall, Begin: 10 * ms, End: 500 * ms}, {Kind: SendStall, Begin: 20 * ms, End: 80 * ms},
		}}))
		for i := range 10 {
			p.send(addr("10.0.0.1"), uint16(i+1), 0)
			time.Sleep(5 * ms)
		}
		if at := p.net.Now(); at < 110*ms || at > 115*ms {
			t.Errorf("sent by %v, want 60 ms later than without a stall", at)
		}
		if got := p.receive(ms); len(got) != 6 || p.net.Now() != 501*ms {
			t.Errorf("%d answers by %v", len(got), p.net.Now())
		}
	})
}

// Receivers share what comes in, by position; what comes in where nobody receives is unheard.
func TestReceiversShare(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := allOpen(Config{Routes: gatewayOnly(), Back: Leg{Duplicate: 1}})
		p := newProber(t, c)
		for _, rx := range p.rx {
			rx.Close()
		}
		var err error
		if p.rx, err = p.net.NewRx(rawsock.RxConfig{Interface: 2, PortMin: firstSource, PortMax: lastSource}, 3); err != nil {
			t.Fatal(err)
		}
		p.sendAt(1e5, 300, addr("10.0.0.0"))
		at := map[netip.Addr]int{}
		for i, rx := range p.rx {
			one := prober{t: t, net: p.net, key: p.key, rx: []*Rx{rx}}
			got := one.receive(ms)
			if len(got) < 120 {
				t.Errorf("receiver %d got %d of 600", i, len(got))
			}
			for _, h := range got {
				if before, ok := at[h.Target]; ok && before != i {
					t.Fatalf("%v came to receivers %d and %d", h.Target, before, i)
				}
				at[h.Target] = i
			}
			rx.Close()
		}
		if len(at) != 300 {
			t.Errorf("%d of 300 positions", len(at))
		}
		p.send(addr("10.0.0.1"), 1, 0)
		if l := p.net.Log(); l.Answers[len(l.Answers)-1].Fate != Unheard {
			t.Errorf("with all receivers closed: %v", l.Answers[len(l.Answers)-1].Fate)
		}
	})
}

// Stray packets come at their rate and prove nothing.
func TestStray(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newProber(t, Config{Stray: 500})
		p.net.Aim([]netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:443")})
		time.Sleep(4 * time.Second)
		verdicts := map[probe.Verdict]int{}
		n := 0
		for _, h := range p.receive(0) {
			n++
			verdicts[h.verdict]++
			if h.genuine || h.verdict == probe.Accepted && (h.LocalPort < firstSource || h.LocalPort > lastSource) {
				t.Fatalf("%+v", h)
			}
		}
		if n < 1800 || n > 2200 || verdicts[probe.Accepted] < n/2 || verdicts[probe.NotReply] < n/8 {
			t.Errorf("%d packets, %v", n, verdicts)
		}
	})
}

// Who hears every link hears answers that come back by another one, and outlives links that go down.
func TestReceiverOfEveryLink(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		routes := gatewayOnly()
		back := routes[0]
		back.Prefix, back.Link.Index, back.Link.Name = netip.MustParsePrefix("192.0.2.0/24"), 7, "eth1"
		routes[0].Back = back.Link.Name
		p := newProber(t, allOpen(Config{
			Routes: append(routes, back), Back: Leg{Delay: 20 * ms}, Faults: []Fault{{Kind: LinkDown, Begin: 50 * ms, End: 100 * ms, Link: "eth0"}},
		}))
		p.send(addr("10.0.0.1"), 80, 0)
		if got := p.receive(25 * ms); len(got) != 0 {
			t.Fatalf("%d answers on the link of the probes", len(got))
		}
		p.rx[0].Close()
		rx, err := p.net.NewRx(rawsock.RxConfig{PortMin: firstSource, PortMax: lastSource}, 1)
		if err != nil {
			t.Fatal(err)
		}
		p.send(addr("10.0.0.2"), 80, 0)
		var packets [2]rawsock.Packet
		if ready, err := rx[0].Wait(time.Second); !ready || err != nil {
			t.Fatalf("ready %v, %v", ready, err)
		}
		if n := rx[0].Read(packets[:]); n != 1 || packets[0].Interface != 7 || rx[0].InterfaceName(7) != "eth1" {
			t.Errorf("%d packets, by interface %d", n, packets[0].Interface)
		}
		if ready, err := rx[0].Wait(time.Second); ready || err != nil {
			t.Errorf("over the fault of a link: %v, %v", ready, err)
		}
	})
}
