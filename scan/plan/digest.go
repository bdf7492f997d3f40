package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"iter"
	"math/bits"
	"net/netip"
	"strconv"

	"go4.org/netipx"

	"synoptic/scan/permute"
	"synoptic/scan/target"
)

// The digests are SHA-256 in lower-case hex over text that anybody can make again. Ranges of addresses are
// ascending, IPv4 before IPv6, disjoint and merged where they touch, in the notation of netip.Addr; a range of
// one address has it twice. Each line ends in a line feed.
//
// targets_digest, over every address that is probed, and ports_digest, over every port:
//
//	10.0.0.0-10.0.0.255           80-80
//	10.0.2.7-10.0.2.7             8000-8100
//
// plan_digest, with the permutation's version. First the addresses and the ports of the product, then for each
// port, ascending, the addresses that were given with it, then what is excluded:
//
//	synoptic plan 1
//	permutation 1
//	targets
//	10.0.0.0-10.0.0.255
//	ports
//	80-80
//	pairs 443
//	10.0.2.7-10.0.2.7
//	exclusions
//	10.0.0.64-10.0.0.127
//
// So plans with the same plan_digest, seed and shard ask the same in the same order, and the digests do not
// depend on how or in which order targets, ports and exclusions were written, nor on seed, shard, pace or
// backend. Of a scan with parts that go different ways they are those of the whole; the order is each part's own. Broadcast addresses that are left out are in none.
const digestVersion = 1

// digests are the three; the zero value stands for those that are not computed yet.
type digests struct{ plan, targets, ports string }

// Digest identifies what is scanned and the rule of its order.
func (p *Plan) Digest() string { return p.allDigests().plan }

// TargetsDigest identifies the addresses that are probed, on whatever ports.
func (p *Plan) TargetsDigest() string { return p.allDigests().targets }

// PortsDigest identifies the ports that are probed, on whatever addresses.
func (p *Plan) PortsDigest() string { return p.allDigests().ports }

// allDigests computes those of a phase when they are asked for: few do.
func (p *Plan) allDigests() digests {
	if p.digests.plan != "" {
		return p.digests
	}
	return digestsOf(p.Space, p.Asked.Targets)
}

func digestsOf(space *target.Space, asked *target.Targets) (d digests) {
	var w digester
	w.begin()
	w.addrs(space.Addrs().Ranges())
	d.targets = w.end()

	w.begin()
	probed := portsOf(space)
	w.ports(&probed)
	d.ports = w.end()

	w.begin()
	w.heading("synoptic plan", digestVersion)
	w.heading("permutation", permute.Version)
	addrs, ports := space.Product()
	w.line("targets")
	w.addrs(addrs.Ranges())
	w.line("ports")
	if ports != nil {
		var product portSet
		product.add(ports.All())
		w.ports(&product)
	}
	for port, addrs := range space.Pairs() {
		w.heading("pairs", int(port))
		w.addrs(addrs.Ranges())
	}
	w.line("exclusions")
	w.addrs(asked.Exclusions())
	d.plan = w.end()
	return d
}

// portSet has bit p%64 of word p/64 for port p.
type portSet [1024]uint64

func (s *portSet) add(ports iter.Seq[uint16]) {
	for p := range ports {
		s[p/64] |= 1 << (p % 64)
	}
}

// portsOf is every port that is probed.
func portsOf(space *target.Space) (all portSet) {
	if _, ports := space.Product(); ports != nil {
		all.add(ports.All())
	}
	for port := range space.Pairs() {
		all[port/64] |= 1 << (port % 64)
	}
	return all
}

// runs yields first and last of each run of ports.
func (s *portSet) runs(yield func(first, last int) bool) {
	for p := s.next(0, true); p < 65536; {
		end := s.next(p, false)
		if !yield(p, end-1) {
			return
		}
		p = s.next(end, true)
	}
}

// next is the first port from p on that is in the set, or is not; 65536 where there is none.
func (s *portSet) next(p int, in bool) int {
	for ; p < 65536; p = p&^63 + 64 {
		word := s[p/64]
		if !in {
			word = ^word
		}
		if word >>= p % 64; word != 0 {
			return p + bits.TrailingZeros64(word)
		}
	}
	return 65536
}

// digester hashes lines through a buffer, as a call of the hash for each would cost more than its bytes.
type digester struct {
	hash hash.Hash
	buf  []byte
}

const digestBuffer = 8 << 10

func (w *digester) begin() {
	if w.hash == nil {
		w.hash, w.buf = sha256.New(), make([]byte, 0, digestBuffer)
	}
	w.hash.Reset()
}

func (w *digester) end() string {
	w.hash.Write(w.buf)
	w.buf = w.buf[:0]
	return hex.EncodeToString(w.hash.Sum(nil))
}

func (w *digester) newline() {
	const longest = 2*len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") + len("-\n")
	w.buf = append(w.buf, '\n')
	if len(w.buf) > digestBuffer-longest {
		w.hash.Write(w.buf)
		w.buf = w.buf[:0]
	}
}

func (w *digester) line(text string) {
	w.buf = append(w.buf, text...)
	w.newline()
}

func (w *digester) heading(text string, n int) {
	w.buf = append(append(w.buf, text...), ' ')
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
	w.newline()
}

func (w *digester) addrs(all iter.Seq[netipx.IPRange]) {
	for r := range all {
		w.buf = appendRange(w.buf, r.From(), r.To())
		w.newline()
	}
}

func (w *digester) ports(all *portSet) {
	for first, last := range all.runs {
		w.buf = appendPorts(w.buf, first, last)
		w.newline()
	}
}

func appendRange(b []byte, first, last netip.Addr) []byte {
	b = append(first.AppendTo(b), '-')
	return last.AppendTo(b)
}

func appendPorts(b []byte, first, last int) []byte {
	b = append(strconv.AppendInt(b, int64(first), 10), '-')
	return strconv.AppendInt(b, int64(last), 10)
}
