package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"synoptic/bench/lab/testnet"
)

// The ports asked for, and how the targets treat them.
const (
	openPort   = 80   // open on every address
	fewPort    = 443  // open on one address of 64, closed elsewhere
	closedPort = 8080 // closed everywhere
	silentPort = 9    // dropped
	portList   = "80,443,8080,9"
	portCount  = 4
)

// condition is a way to lose packets.
type condition struct {
	name       string
	percent    float64 // each way, of each packet by itself
	on, period time.Duration
}

var conditions = []condition{
	{name: "no loss"},
	{name: "1 % loss each way", percent: 1},
	{name: "5 % loss each way", percent: 5},
	{name: "20 % loss each way", percent: 20},
	{name: "bursts: all lost for 200 ms of every 2 s", on: 200 * time.Millisecond, period: 2 * time.Second},
}

// loss is the probability that a probe or its answer is lost. A burst takes both: an answer follows
// its probe within microseconds.
func (c condition) loss() float64 {
	if c.period > 0 {
		return float64(c.on) / float64(c.period)
	}
	p := c.percent / 100
	return 1 - (1-p)*(1-p)
}

// rate is the packets per second on a network of that many positions. Where packets get lost in
// bursts, the first pass must take several of them, or chance decides how many it meets.
func (c condition) rate(asked, positions int) int {
	if c.period == 0 {
		return asked
	}
	const bursts = 4
	return min(asked, int(float64(positions)/(bursts*c.period.Seconds())))
}

// nmapBits is the prefix length of the part that nmap scans. Its congestion control goes down to some
// ten hosts a second where one packet in ten gets lost; else the part is large enough to take long.
func (c condition) nmapBits(bits int) int {
	if c.percent > 0 {
		bits += 2
	}
	return min(bits+1, 26)
}

// field is a network with its truth, and the counters of the probes sent to it.
type field struct {
	*testnet.Network
	targets netip.Prefix
	open    map[netip.AddrPort]bool
	wire    map[uint16]*testnet.Counter // by destination port
}

// targetsOf are the first addresses of the test network.
func targetsOf(bits int) netip.Prefix {
	return netip.PrefixFrom(netip.MustParseAddr("10.77.0.0"), bits)
}

// truth is what is open on targets: the same for every run.
func truth(targets netip.Prefix) map[netip.AddrPort]bool {
	open := map[netip.AddrPort]bool{}
	random := rand.New(rand.NewPCG(3, 443))
	for a := targets.Addr(); targets.Contains(a); a = a.Next() {
		open[netip.AddrPortFrom(a, openPort)] = true
		if a.As4()[3]%64 == 0 { // one in each 64, so that every subset has its share
			k := a.As4()
			k[3] += byte(random.IntN(64))
			open[netip.AddrPortFrom(netip.AddrFrom4(k), fewPort)] = true
		}
	}
	return open
}

// newField makes a network that loses packets as c says.
func newField(bits int, c condition) (f *field, err error) {
	n, err := testnet.Open(testnet.Config{Gateway: true})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	f = &field{Network: n, targets: targetsOf(bits), wire: map[uint16]*testnet.Counter{}}
	f.open = truth(f.targets)
	for _, port := range []uint16{openPort, fewPort, closedPort, silentPort} {
		if f.wire[port], err = n.CountSYN(testnet.Match{Port: port}); err != nil {
			return nil, err
		}
	}
	for e := range f.open {
		if e.Port() == fewPort {
			if _, err := n.Serve(e.String()); err != nil {
				return nil, err
			}
		}
	}
	if _, err := n.Serve(fmt.Sprintf("0.0.0.0:%d", openPort)); err != nil {
		return nil, err
	}
	if err := n.DropPort(silentPort); err != nil {
		return nil, err
	}
	if err := n.Loss(c.percent, testnet.Both); err != nil {
		return nil, err
	}
	if c.period > 0 {
		if err := n.Bursts(c.on, c.period); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// probes are counts of what came over the wire.
type probes struct{ answering, silent uint64 }

func (p probes) total() uint64 { return p.answering + p.silent }

func (f *field) counted() (p probes, err error) {
	for port, c := range f.wire {
		v, err := c.Value()
		if err != nil {
			return p, err
		}
		if port == silentPort {
			p.silent += v
		} else {
			p.answering += v
		}
	}
	return p, nil
}

// during counts the probes that a run sends. The network must be quiet before and after.
func (f *field) during(scan func() error) (probes, error) {
	before, err := f.counted()
	if err != nil {
		return probes{}, err
	}
	failed := scan()
	after, err := f.counted()
	if failed != nil {
		err = failed
	}
	return probes{after.answering - before.answering, after.silent - before.silent}, err
}
