package probe

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// TemplateConfig is what all probes of a template share. The zero value lacks
// only Src.
type TemplateConfig struct {
	// Ethernet says that the frame starts with a 14-byte Ethernet header (a VLAN
	// tag is the work of the VLAN interface). Without it the frame starts at the
	// IP header: tun, ppp, wireguard, and raw IP sockets, which the loopback needs.
	// It must match the socket.
	Ethernet bool
	// SrcMAC and DstMAC are 6 bytes each with Ethernet, and ignored
	// otherwise. DstMAC is the gateway's; it may be nil when PatchMAC is
	// called for every probe.
	SrcMAC, DstMAC net.HardwareAddr
	// Src is the IPv4 address that replies come back to.
	Src netip.Addr
	// Profile is ProfileMSS unless set.
	Profile Profile
}

// Template is a SYN whose constant bytes, and whose checksums over them, are
// computed once. It is immutable: any number of lanes may share it.
type Template struct {
	frame []byte // varying fields zero
	ip    int    // offset of the IP header

	// Sums of the 16-bit words that do not vary, not folded (RFC 1071): the
	// IP header; the TCP segment with its pseudo-header (RFC 9293 section 3.1).
	ipSum, tcpSum uint32
}

// SourceError is a source address that probes cannot be sent from.
type SourceError struct {
	Addr   netip.Addr
	Reason string
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("build probe template: source address %v %s", e.Addr, e.Reason)
}

// Field is Source.
func (e *SourceError) Field() string { return "Source" }

// Hint says which addresses can be used.
func (e *SourceError) Hint() string {
	return "give an IPv4 unicast address of this host as source address"
}

// NewTemplate lays out the probe. Errors: a *SourceError if Src is not an IPv4
// unicast address (IPv6 probes cannot be built yet), or a MAC address of the
// wrong length, or an unknown profile.
func NewTemplate(c TemplateConfig) (*Template, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := profiles[c.Profile]
	tcpLen := tcpHeaderLen + len(p.options)
	t := &Template{}
	if c.Ethernet {
		t.ip = ethernetHeaderLen
	}
	t.frame = make([]byte, t.ip+ipv4HeaderLen+tcpLen)

	if c.Ethernet {
		copy(t.frame[0:6], c.DstMAC)
		copy(t.frame[6:12], c.SrcMAC)
		binary.BigEndian.PutUint16(t.frame[12:14], etherTypeIPv4)
	}

	ip := t.frame[t.ip:]
	src := c.Src.As4()
	ip[ipVersionIHL] = ipVersion4IHL5
	binary.BigEndian.PutUint16(ip[ipTotalLen:], uint16(ipv4HeaderLen+tcpLen))
	// As operating systems do; it also frees the IP ID from all meaning.
	binary.BigEndian.PutUint16(ip[ipFragment:], ipDontFragment)
	ip[ipTTL] = p.ttl
	ip[ipProtocol] = protocolTCP
	copy(ip[ipSrc:], src[:])

	tcp := ip[ipv4HeaderLen:]
	tcp[tcpDataOffset] = byte(tcpLen/tcpBytesPerDoff) << 4
	tcp[tcpFlags] = FlagSYN
	binary.BigEndian.PutUint16(tcp[tcpWindow:], p.window)
	copy(tcp[tcpHeaderLen:], p.options)

	t.ipSum = sumWords(ip[:ipv4HeaderLen])
	t.tcpSum = sumWords(src[:]) + protocolTCP + uint32(tcpLen) + sumWords(tcp)
	return t, nil
}

func (c *TemplateConfig) check() error {
	switch {
	case !c.Src.IsValid():
		return &SourceError{c.Src, "is missing"}
	case !c.Src.Is4():
		return &SourceError{c.Src, "is IPv6, and only IPv4 probes can be built"}
	case c.Src.IsUnspecified() || c.Src.IsMulticast() || c.Src == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return &SourceError{c.Src, "is not a unicast address"}
	case c.Profile >= numProfiles:
		return fmt.Errorf("build probe template: unknown %v", c.Profile)
	}
	if !c.Ethernet {
		return nil
	}
	if len(c.SrcMAC) != 6 {
		return fmt.Errorf("build probe template: source MAC has %d bytes, Ethernet needs 6", len(c.SrcMAC))
	}
	if c.DstMAC != nil && len(c.DstMAC) != 6 {
		return fmt.Errorf("build probe template: destination MAC has %d bytes, Ethernet needs 6", len(c.DstMAC))
	}
	return nil
}

// Len returns the bytes of a probe as handed to the kernel: link header
// included, frame check sequence and minimum-frame padding not.
func (t *Template) Len() int { return len(t.frame) }

// Fill writes the whole template into frame, which must hold Len bytes. Once
// for each slot; Patch then makes a probe of it any number of times.
func (t *Template) Fill(frame []byte) {
	_ = frame[:len(t.frame)]
	copy(frame, t.frame)
}

// Patch makes a filled frame the probe with this four-tuple. hash must be
// Key.Hash of (template source, dst, sport, dport): the sequence number and
// the IP ID are cut from it. dst must be IPv4, or Patch panics.
//
// Every varying field is overwritten, so what an earlier Patch left does not
// matter. The checksums are the constant partial sums plus the varying words,
// which is RFC 1624 without an old value to take away.
func (t *Template) Patch(frame []byte, dst netip.Addr, sport, dport uint16, hash uint64) {
	// One bounds check for all the writes below.
	h := (*[ipv4HeaderLen + tcpHeaderLen]byte)(frame[t.ip:])
	d4 := dst.As4()
	d := binary.BigEndian.Uint32(d4[:])
	seq, id := Cookie(hash), IPID(hash)
	dsum := d>>16 + d&0xffff

	binary.BigEndian.PutUint16(h[ipID:], id)
	binary.BigEndian.PutUint16(h[ipChecksum:], checksum(t.ipSum+uint32(id)+dsum))
	binary.BigEndian.PutUint32(h[ipDst:], d)

	const tcp = ipv4HeaderLen
	// Both ports, then seq, as the words that they are in the packet.
	ports := uint32(sport)<<16 | uint32(dport)
	binary.BigEndian.PutUint32(h[tcp+tcpSrcPort:], ports)
	binary.BigEndian.PutUint32(h[tcp+tcpSeq:], seq)
	binary.BigEndian.PutUint16(h[tcp+tcpChecksum:], checksum(
		t.tcpSum+dsum+uint32(sport)+uint32(dport)+seq>>16+seq&0xffff))
}

// PatchMAC sets the destination MAC address of a filled frame, for a target on
// the link itself. It does nothing where there is no Ethernet header. The
// address stays in the frame: where slots are shared by on-link targets and
// others, every probe needs its own PatchMAC.
func (t *Template) PatchMAC(frame []byte, dst [6]byte) {
	if t.ip != ethernetHeaderLen {
		return
	}
	copy(frame[0:6], dst[:])
}

// checksum folds a sum of at most 2^16 words and complements it (RFC 1071).
func checksum(sum uint32) uint16 {
	sum = sum>>16 + sum&0xffff // at most 0x1fffe: the carry below is at most 1
	sum += sum >> 16
	return ^uint16(sum)
}

// sumWords adds the big-endian 16-bit words of b, whose length is even.
func sumWords(b []byte) (sum uint32) {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	return sum
}

// Constants are the template's bytes, a copy, and the partial checksums over them, sums of 16-bit words
// in host byte order: of the IP header, and of the TCP segment with its pseudo-header. With them
// another program can do what Patch does.
func (t *Template) Constants() (frame []byte, ipSum, tcpSum uint32) {
	return append([]byte(nil), t.frame...), t.ipSum, t.tcpSum
}
