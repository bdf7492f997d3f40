package format

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"time"

	"synoptic/results"
)

// An encoded record, big-endian, as it lies in memory and in the temporary file:
//
//	 0  4 bytes   length of all of it
//	 4  1         family: 4 or 6
//	 5  16        address, IPv4 mapped into IPv6
//	21  1         0 a summary, 1 a port
//	22  2         port
//	24  1         rank of the state: less is better
//	25  8         complement of the time: less is later
//	33            the other fields
//
// so that bytes 4 to 33 compare as the records are ordered.
const (
	recordHead = 4
	keyBegin   = recordHead
	hostEnd    = keyBegin + 17
	portEnd    = hostEnd + 3
	keyEnd     = portEnd + 9
)

func recordLen(r []byte) int    { return int(binary.BigEndian.Uint32(r)) }
func sameHost(x, y []byte) bool { return bytes.Equal(x[keyBegin:hostEnd], y[keyBegin:hostEnd]) }
func samePort(x, y []byte) bool { return bytes.Equal(x[keyBegin:portEnd], y[keyBegin:portEnd]) }
func isSummary(r []byte) bool   { return r[hostEnd] == 0 }
func stateRank(s results.State) byte {
	switch s {
	case results.Open:
		return 0
	case results.Closed:
		return 1
	}
	return 2
}

func appendKey(b []byte, addr netip.Addr, kind byte, port uint16, rank byte, at int64) []byte {
	family := byte(6)
	if addr.Unmap().Is4() {
		family = 4
	}
	a := addr.As16()
	b = append(b, 0, 0, 0, 0, family)
	b = append(b, a[:]...)
	b = append(b, kind, byte(port>>8), byte(port), rank)
	return binary.BigEndian.AppendUint64(b, ^(uint64(at) ^ 1<<63)) // the sign turned: two's complement sorts
}

func keyTime(r []byte) int64 { return int64(^binary.BigEndian.Uint64(r[portEnd+1:]) ^ 1<<63) }

func keyAddr(r []byte) netip.Addr {
	a := netip.AddrFrom16([16]byte(r[keyBegin+1 : hostEnd]))
	if r[keyBegin] == 4 {
		return a.Unmap()
	}
	return a
}

func appendPort(b []byte, p *results.Port) []byte {
	begin := len(b)
	b = appendKey(b, p.Addr, 1, p.Port, stateRank(p.Reason.State()), p.Time)
	b = append(b, byte(p.Reason), p.TTL, p.Attempt, flags(p.HasRTT, p.Suspect)|byte(p.Verified)<<4|byte(p.ServiceSource)<<6)
	b = binary.BigEndian.AppendUint16(b, p.Window)
	b = binary.BigEndian.AppendUint16(b, p.MSS)
	b = binary.BigEndian.AppendUint16(b, p.SourcePort)
	b = binary.BigEndian.AppendUint64(b, uint64(p.RTT))
	b = append(b, p.MAC[:]...)
	b = appendAddr(b, p.Source)
	b = appendAddr(b, p.Router)
	b = appendText(b, p.Hostname)
	b = appendNames(b, p.Hostnames)
	b = appendText(b, p.Service)
	b = appendText(b, p.Iface)
	b = appendText(b, p.Banner)
	b = appendText(b, p.Tags)
	binary.BigEndian.PutUint32(b[begin:], uint32(len(b)-begin))
	return b
}

func appendHost(b []byte, h *results.Host) []byte {
	begin := len(b)
	b = appendKey(b, h.Addr, 0, 0, 0, h.Last)
	b = append(b, flags(h.HasRTT, h.Suspect))
	b = append(b, h.MAC[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.RTT))
	b = binary.BigEndian.AppendUint64(b, uint64(h.First))
	b = binary.AppendUvarint(b, uint64(h.OpenCount))
	b = binary.AppendUvarint(b, uint64(h.ClosedCount))
	b = appendText(b, h.Hostname)
	b = appendNames(b, h.Hostnames)
	b = appendText(b, h.Tags)
	for _, p := range h.Open {
		b = binary.BigEndian.AppendUint16(b, p)
	}
	binary.BigEndian.PutUint32(b[begin:], uint32(len(b)-begin))
	return b
}

func flags(hasRTT bool, s results.Suspect) byte {
	f := byte(s) << 1
	if hasRTT {
		f |= 1
	}
	return f
}

// appendAddr appends a length and an address: 0 for none.
func appendAddr(b []byte, a netip.Addr) []byte {
	switch {
	case a.Is4():
		v := a.As4()
		return append(append(b, 4), v[:]...)
	case a.IsValid():
		v := a.As16()
		return append(append(b, 16), v[:]...)
	}
	return append(b, 0)
}

func appendText[T ~string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendNames appends how many are left out, how many are there, and these.
func appendNames(b []byte, h *results.Hostnames) []byte {
	if h == nil {
		return append(b, 0, 0)
	}
	b = binary.AppendUvarint(b, uint64(h.LeftOut))
	b = binary.AppendUvarint(b, uint64(len(h.List)))
	for _, name := range h.List {
		b = appendText(b, name)
	}
	return b
}

// decoder reads records that appendPort and appendHost have written. Names that come again are not
// allocated again.
type decoder struct {
	names map[string]string
	r     []byte
	short bool // the record has asked for more than there is of it
}

// namesKept bounds the names that are remembered: above the some 6,000 service names of IANA's registry.
const namesKept = 16 << 10

// port fills in all of p but Frame. p.Banner aliases r.
func (d *decoder) port(p *results.Port, r []byte) {
	d.r = r[keyEnd:]
	fixed := d.take(4)
	*p = results.Port{
		Time: keyTime(r), Addr: keyAddr(r), Port: binary.BigEndian.Uint16(r[hostEnd+1:]),
		Reason: results.Reason(fixed[0]), TTL: fixed[1], Attempt: fixed[2],
		HasRTT: fixed[3]&1 != 0, Suspect: results.Suspect(fixed[3] >> 1 & 3), Verified: results.Verified(fixed[3] >> 4 & 3),
		ServiceSource: results.ServiceSource(fixed[3] >> 6),
		Window:        d.uint16(), MSS: d.uint16(), SourcePort: d.uint16(),
	}
	p.RTT = time.Duration(d.uint64())
	p.MAC = d.mac()
	p.Source, p.Router = d.addr(), d.addr()
	p.Hostname, p.Hostnames = d.name(), d.hostnames()
	p.Service, p.Iface = d.name(), d.name()
	if n := d.uvarint(); n > 0 {
		p.Banner = d.take(n)
	}
	p.Tags = results.Tags(d.name())
}

// A port's fields between the key and the addresses: so long, the last of them its MAC address.
const (
	portFixed = macBegin + len(results.MAC{})
	macBegin  = 4 + 3*2 + 8
)

// portMAC is that field of a port alone.
func portMAC(r []byte) results.MAC {
	return results.MAC(r[keyEnd+macBegin : keyEnd+portFixed])
}

// namesOf are the names of a port alone.
func (d *decoder) namesOf(r []byte) (string, *results.Hostnames) {
	d.r = r[keyEnd+portFixed:]
	d.addr()
	d.addr()
	return d.name(), d.hostnames()
}

func (d *decoder) hostnames() *results.Hostnames {
	leftOut, n := d.uvarint(), d.uvarint()
	if leftOut == 0 && n == 0 {
		return nil
	}
	if n < 0 || n > len(d.r) || leftOut < 0 {
		d.missing()
		return nil
	}
	h := &results.Hostnames{List: make([]string, n), LeftOut: leftOut}
	for i := range h.List {
		h.List[i] = d.name()
	}
	return h
}

// host fills in all of h, and reuses h.Open.
func (d *decoder) host(h *results.Host, r []byte) {
	d.r = r[keyEnd:]
	f := d.take(1)[0]
	*h = results.Host{Last: keyTime(r), Addr: keyAddr(r), HasRTT: f&1 != 0, Suspect: results.Suspect(f >> 1 & 3), Open: h.Open[:0]}
	h.MAC = d.mac()
	h.RTT, h.First = time.Duration(d.uint64()), int64(d.uint64())
	h.OpenCount, h.ClosedCount = d.uvarint(), d.uvarint()
	h.Hostname, h.Hostnames, h.Tags = d.name(), d.hostnames(), results.Tags(d.name())
	for len(d.r) > 0 && !d.short {
		h.Open = append(h.Open, d.uint16())
	}
}

// longestFixed is what a field of a fixed length takes at most, in bytes.
const longestFixed = 16

// take gives the next n bytes. Where there are fewer, a field of a fixed length is zero.
func (d *decoder) take(n int) (field []byte) {
	if n < 0 || n > len(d.r) {
		d.missing()
		return make([]byte, longestFixed)[:max(0, min(n, longestFixed))]
	}
	field, d.r = d.r[:n], d.r[n:]
	return field
}

func (d *decoder) missing() { d.short, d.r = true, nil }

func (d *decoder) uint16() uint16 { return binary.BigEndian.Uint16(d.take(2)) }
func (d *decoder) uint64() uint64 { return binary.BigEndian.Uint64(d.take(8)) }

func (d *decoder) mac() (m results.MAC) {
	copy(m[:], d.take(len(m)))
	return m
}

func (d *decoder) uvarint() int {
	v, n := binary.Uvarint(d.r)
	if n <= 0 {
		d.missing()
		return 0
	}
	d.r = d.r[n:]
	return int(v)
}

func (d *decoder) addr() netip.Addr {
	a, _ := netip.AddrFromSlice(d.take(int(d.take(1)[0])))
	return a
}

func (d *decoder) name() string {
	n := d.uvarint()
	if n == 0 {
		return ""
	}
	text := d.take(n)
	if s, ok := d.names[string(text)]; ok {
		return s
	}
	if len(d.names) >= namesKept {
		clear(d.names)
	}
	s := string(text)
	d.names[s] = s
	return s
}
