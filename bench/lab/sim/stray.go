package sim

import (
	"math"
	"net/netip"
	"time"

	"synoptic/results"
)

// Aim makes stray packets pretend to be answers of these: forged answers to probes that may have been sent.
func (n *Network) Aim(at []netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.aim = at
	if n.config.Stray > 0 && len(at) > 0 {
		n.stray = n.Now()
		n.nextStray()
	}
}

// nextStray draws when the next stray packet comes: they are a Poisson process.
func (n *Network) nextStray() {
	n.strays++
	n.stray += time.Duration(-math.Log1p(-n.chance.unit(ofStray, n.strays, 0)) / n.config.Stray * float64(time.Second))
}

// sendStray lets one come in: a SYN-ACK, RST or ICMP error to one of our ports that proves nothing. The chance
// that its number is right is 2^-32.
func (n *Network) sendStray() {
	at, v := n.stray, n.chance.bits(ofStray, n.strays, 1)
	n.nextStray()
	target := n.aim[v%uint64(len(n.aim))]
	r := n.reached(target.Addr())
	if r == nil {
		return
	}
	receivers := n.receiversOf(n.links[r.Link.Name])
	if len(receivers) == 0 {
		return
	}
	ports := receivers[0].config
	s := &segment{
		src: r.Src, dst: target.Addr(), sport: ports.PortMin + uint16(v>>16)%(ports.PortMax-ports.PortMin+1), dport: target.Port(),
	}
	number := uint32(v >> 32)
	b := n.buffer()
	switch v >> 8 % 4 {
	case 0:
		b = appendTCP(appendIP(b, s.dst, s.src, protoTCP, 64, nil, tcpLen), s, 1, number, flagSYN|flagACK, 1000, nil)
	case 1:
		b = appendTCP(appendIP(b, s.dst, s.src, protoTCP, 64, nil, tcpLen), s, 1, number, flagRST|flagACK, 0, nil)
	case 2: // without ACK it proves nothing, whatever its number
		b = appendTCP(appendIP(b, s.dst, s.src, protoTCP, 64, nil, tcpLen), s, number, 0, flagRST, 0, nil)
	default:
		probe := appendIP(nil, s.src, s.dst, protoTCP, 1, nil, tcpLen)
		back := segment{src: s.dst, dst: s.src, sport: s.dport, dport: s.sport}
		probe = appendTCP(probe, &back, number, 0, flagSYN, 1024, nil)
		b = appendICMP(appendIP(b, s.dst, s.src, protoICMP, 64, nil, 8+len(probe)), 3, 13, probe)
	}
	n.arrive(n.record(answerTo(s, -1, results.ReasonNone)), r, b, at)
}
