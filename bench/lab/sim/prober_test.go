package sim

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/probe"
)

// prober is a scanner reduced to what the network sees of it.
type prober struct {
	t    *testing.T
	net  *Network
	tx   *Tx
	rx   []*Rx
	tmpl *probe.Template
	key  probe.Key
	src  netip.Addr
}

const (
	firstSource = 61000
	lastSource  = 61015
)

// newProber opens sockets on a network that is reached by a gateway, unless the configuration says otherwise.
func newProber(t *testing.T, c Config) *prober {
	t.Helper()
	if c.Routes == nil {
		c.Routes = gatewayOnly()
	}
	r := c.Routes[0]
	p := &prober{t: t, net: New(c), key: probe.Key{K0: 1, K1: 2}, src: r.Src}
	mac := p.net.hopMAC(r.Gateway, 0)
	var err error
	p.tmpl, err = probe.NewTemplate(probe.TemplateConfig{Ethernet: true, SrcMAC: r.Link.HardwareAddr, DstMAC: mac[:], Src: r.Src})
	if err != nil {
		t.Fatal(err)
	}
	p.tx, err = p.net.NewTx(0, rawsock.TxConfig{Interface: r.Link.Index, FrameLen: p.tmpl.Len(), Batch: 8})
	if err != nil {
		t.Fatal(err)
	}
	p.tx.Prepare(p.tmpl.Fill)
	p.rx, err = p.net.NewRx(rawsock.RxConfig{Interface: r.Link.Index, PortMin: firstSource, PortMax: lastSource}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// gatewayOnly is one Ethernet interface and a gateway for all.
func gatewayOnly() []Route {
	return []Route{{
		Prefix:  netip.MustParsePrefix("0.0.0.0/0"),
		Link:    route.Link{Index: 2, Name: "eth0", MTU: 1500, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Framing: rawsock.Ethernet},
		Src:     netip.MustParseAddr("192.0.2.2"),
		Gateway: netip.MustParseAddr("192.0.2.1"),
	}}
}

// craft puts a probe into a frame of the batch.
func (p *prober) craft(frame int, to netip.Addr, port uint16, attempt int) {
	sport := uint16(firstSource + attempt)
	p.tmpl.Patch(p.tx.Frames()[frame], to, sport, port, p.key.Hash(p.src, to, sport, port))
}

// send sends one probe, which must be taken.
func (p *prober) send(to netip.Addr, port uint16, attempt int) {
	p.t.Helper()
	p.craft(0, to, port, attempt)
	if n, err := p.tx.Send(0, 1); n != 1 || err != nil {
		p.t.Fatalf("%d frames were taken: %v", n, err)
	}
}

// sendAt sends so many probes at a rate, one to each address from first on.
func (p *prober) sendAt(rate float64, count int, first netip.Addr) {
	begin := time.Now()
	for i := range count {
		time.Sleep(time.Duration(float64(i)/rate*float64(time.Second)) - time.Since(begin))
		p.send(first, 80, 0)
		first = first.Next()
	}
}

// heard is an answer that was read.
type heard struct {
	probe.Reply
	verdict probe.Verdict
	genuine bool
	at      time.Duration
	data    []byte // spoiled by now
}

// receive reads until nothing comes for so long.
func (p *prober) receive(quiet time.Duration) (all []heard) {
	p.t.Helper()
	var packets [4]rawsock.Packet
	for _, rx := range p.rx {
		for {
			ready, err := rx.Wait(quiet)
			if err != nil {
				p.t.Fatal(err)
			}
			if !ready {
				break
			}
			for n := rx.Read(packets[:]); n > 0; n = rx.Read(packets[:]) {
				for _, pkt := range packets[:n] {
					h := heard{at: time.Unix(0, pkt.Time).Sub(p.net.Start()), data: pkt.Data}
					h.verdict = probe.Parse(pkt.Data, &h.Reply)
					h.genuine = h.verdict == probe.Accepted && p.key.Genuine(&h.Reply)
					all = append(all, h)
				}
			}
		}
	}
	return all
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// allOpen is a network where every port of every host is open.
func allOpen(c Config) Config {
	c.Targets.Open = 1
	return c
}
