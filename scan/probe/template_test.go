package probe

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"synoptic/bench/lab/packet"
)

var (
	ourMAC     = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}
	gatewayMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x02}
)

// Golden frames: 10.77.0.1:61000 → 10.77.3.4:443, hash 0xabcd12345678. The
// checksums were computed by another implementation.
const goldenHash = 0x0000_abcd_1234_5678

const goldenEthernet = `
	02 00 00 00 00 02   # destination MAC
	02 00 00 00 00 01   # source MAC
	08 00               # EtherType IPv4`

var goldenPackets = map[Profile]string{
	ProfileMSS: `
	45 00 00 2c         # version 4, IHL 5; DSCP 0; total length 44
	ab cd 40 00         # ID from the hash; DF
	40 06 77 60         # TTL 64; TCP; header checksum
	0a 4d 00 01         # 10.77.0.1
	0a 4d 03 04         # 10.77.3.4
	ee 48 01 bb         # 61000 → 443
	12 34 56 78         # sequence number: the cookie
	00 00 00 00         # acknowledgment: none
	60 02 fa f0         # data offset 6; SYN; window 64240
	2c e7 00 00         # checksum; urgent pointer
	02 04 05 b4         # MSS 1460`,
	ProfileLinux: `
	45 00 00 3c         # total length 60
	ab cd 40 00
	40 06 77 50         # TTL 64
	0a 4d 00 01
	0a 4d 03 04
	ee 48 01 bb
	12 34 56 78
	00 00 00 00
	a0 02 fa f0         # data offset 10; SYN; window 64240
	d7 25 00 00
	02 04 05 b4         # MSS 1460
	04 02               # SACK permitted
	08 0a 3b 9a ca 00 00 00 00 00  # timestamps: TSval 10^9, TSecr 0
	01                  # NOP
	03 03 07            # window scale 7`,
	ProfileWindows: `
	45 00 00 34         # total length 52
	ab cd 40 00
	80 06 37 58         # TTL 128
	0a 4d 00 01
	0a 4d 03 04
	ee 48 01 bb
	12 34 56 78
	00 00 00 00
	80 02 fa f0         # data offset 8; SYN; window 64240
	03 d1 00 00
	02 04 05 b4         # MSS 1460
	01                  # NOP
	03 03 08            # window scale 8
	01 01               # NOP, NOP
	04 02               # SACK permitted`,
	ProfileNone: `
	45 00 00 28         # total length 40
	ab cd 40 00
	40 06 77 64         # TTL 64
	0a 4d 00 01
	0a 4d 03 04
	ee 48 01 bb
	12 34 56 78
	00 00 00 00
	50 02 fa f0         # data offset 5; SYN; window 64240
	44 a3 00 00`,
}

// unhex reads annotated hex: white space and "# …" to the end of a line are
// ignored.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		code, _, _ := strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(code), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func template(t testing.TB, ethernet bool, p Profile) *Template {
	t.Helper()
	tmpl, err := NewTemplate(TemplateConfig{Ethernet: ethernet, SrcMAC: ourMAC, DstMAC: gatewayMAC, Src: localV4, Profile: p})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestGoldenFrames(t *testing.T) {
	if len(goldenPackets) != int(numProfiles) {
		t.Fatalf("%d golden packets for %d profiles", len(goldenPackets), numProfiles)
	}
	for p, text := range goldenPackets {
		for _, ethernet := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/ethernet=%v", p, ethernet), func(t *testing.T) {
				want := unhex(t, text)
				if ethernet {
					want = append(unhex(t, goldenEthernet), want...)
				}
				tmpl := template(t, ethernet, p)
				if tmpl.Len() != len(want) {
					t.Fatalf("Len %d, want %d", tmpl.Len(), len(want))
				}
				// One byte more than needed, to see that nothing runs over.
				slot := bytes.Repeat([]byte{0xee}, len(want)+1)
				tmpl.Fill(slot)
				tmpl.Patch(slot, targetV4, 61000, 443, goldenHash)
				if slot[len(want)] != 0xee {
					t.Error("wrote behind the frame")
				}
				if got := slot[:len(want)]; !bytes.Equal(got, want) {
					t.Errorf("frame\n got % x\nwant % x", got, want)
				}
			})
		}
	}
}

func TestDefaultProfileFitsMinimumEthernetFrame(t *testing.T) {
	var zero Profile
	if n := template(t, true, zero).Len(); n > 60 {
		t.Errorf("default probe is %d bytes, a minimum frame 60", n)
	}
}

// The oracle: gopacket serialises the probe that the profile describes, with
// checksums of its own, and every byte must agree. The slot is used twice, so
// that what the first probe left would show.
func TestPatchMatchesGopacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ethernet := rapid.Bool().Draw(t, "ethernet")
		p := Profile(rapid.IntRange(0, int(numProfiles)-1).Draw(t, "profile"))
		src := rapid.Custom(func(t *rapid.T) netip.Addr { return drawAddr4(t, "addr") }).
			Filter(func(a netip.Addr) bool { return (&TemplateConfig{Src: a}).check() == nil }).Draw(t, "src")
		tmpl, err := NewTemplate(TemplateConfig{Ethernet: ethernet, SrcMAC: ourMAC, DstMAC: gatewayMAC, Src: src, Profile: p})
		if err != nil {
			t.Fatal(err)
		}
		frame := make([]byte, tmpl.Len())
		tmpl.Fill(frame)
		for range 2 {
			dst := drawAddr4(t, "dst")
			sport, dport := rapid.Uint16().Draw(t, "sport"), rapid.Uint16().Draw(t, "dport")
			// Small values make sums that do not carry; rapid draws those too.
			hash := rapid.Uint64().Draw(t, "hash")
			tmpl.Patch(frame, dst, sport, dport, hash)
			want := oracleProbe(t, ethernet, p, src, dst, sport, dport, hash)
			if !bytes.Equal(frame, want) {
				t.Fatalf("frame\n got % x\nwant % x", frame, want)
			}
		}
	})
}

// Sums that carry twice when folded are rarer than random inputs find: every
// value of a 16-bit word of each header, against a sum computed anew.
func TestPatchChecksumsOfEveryCarry(t *testing.T) {
	tmpl := template(t, false, ProfileLinux)
	pkt := make([]byte, tmpl.Len())
	tmpl.Fill(pkt)
	for w := range 1 << 16 {
		// w is the IP ID and the target port.
		tmpl.Patch(pkt, targetV4, localPort, uint16(w), uint64(w)<<32|0xffff_ffff)
		if !packet.IPv4(t, pkt, packet.ID(uint32(w)), packet.Checksum(), packet.TCP(packet.DstPort(uint16(w)), packet.Checksum())) {
			t.FailNow()
		}
	}
}

// oracleProbe states each profile anew, in gopacket's terms.
func oracleProbe(t rapidOrTesting, ethernet bool, p Profile, src, dst netip.Addr, sport, dport uint16, hash uint64) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, Flags: layers.IPv4DontFragment,
		Id: uint16(hash >> 32), SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	tcp := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: uint32(hash),
		SYN: true, Window: 64240}
	opt := func(kind layers.TCPOptionKind, data ...byte) {
		o := layers.TCPOption{OptionType: kind, OptionData: data, OptionLength: uint8(2 + len(data))}
		if kind == layers.TCPOptionKindNop {
			o.OptionLength = 1
		}
		tcp.Options = append(tcp.Options, o)
	}
	if p != ProfileNone {
		opt(layers.TCPOptionKindMSS, 1460>>8, 1460&0xff)
	}
	switch p {
	case ProfileLinux:
		opt(layers.TCPOptionKindSACKPermitted)
		opt(layers.TCPOptionKindTimestamps, 0x3b, 0x9a, 0xca, 0x00, 0, 0, 0, 0)
		opt(layers.TCPOptionKindNop)
		opt(layers.TCPOptionKindWindowScale, 7)
	case ProfileWindows:
		ip.TTL = 128
		opt(layers.TCPOptionKindNop)
		opt(layers.TCPOptionKindWindowScale, 8)
		opt(layers.TCPOptionKindNop)
		opt(layers.TCPOptionKindNop)
		opt(layers.TCPOptionKindSACKPermitted)
	}
	stack := []gopacket.SerializableLayer{ip, tcp}
	if ethernet {
		eth := &layers.Ethernet{SrcMAC: ourMAC, DstMAC: gatewayMAC, EthernetType: layers.EthernetTypeIPv4}
		stack = append([]gopacket.SerializableLayer{eth}, stack...)
	}
	frame := serialize(t, stack...)
	if ethernet {
		// gopacket pads to the minimum frame; here the kernel or the card does.
		frame = frame[:14+int(ip.Length)]
	}
	return frame
}

// The destination MAC alone changes, and nothing where there is none.
func TestPatchMAC(t *testing.T) {
	tmpl := template(t, true, ProfileMSS)
	frame := make([]byte, tmpl.Len())
	tmpl.Fill(frame)
	tmpl.Patch(frame, targetV4, 61000, 443, goldenHash)
	want := bytes.Clone(frame)
	host := [6]byte{0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee}
	copy(want, host[:])
	tmpl.PatchMAC(frame, host)
	if !bytes.Equal(frame, want) {
		t.Errorf("frame\n got % x\nwant % x", frame, want)
	}

	bare := template(t, false, ProfileMSS)
	frame = make([]byte, bare.Len())
	bare.Fill(frame)
	want = bytes.Clone(frame)
	bare.PatchMAC(frame, host)
	if !bytes.Equal(frame, want) {
		t.Errorf("PatchMAC wrote into an IP header: % x", frame)
	}
}

func TestNewTemplateErrors(t *testing.T) {
	eth := TemplateConfig{Ethernet: true, SrcMAC: ourMAC, DstMAC: gatewayMAC, Src: localV4}
	for _, c := range []struct {
		name   string
		change func(*TemplateConfig)
		want   string // part of the error; "" for none
	}{
		{"whole", func(*TemplateConfig) {}, ""},
		{"no gateway", func(c *TemplateConfig) { c.DstMAC = nil }, ""},
		{"no link header", func(c *TemplateConfig) { *c = TemplateConfig{Src: localV4} }, ""},
		{"no source", func(c *TemplateConfig) { c.Src = netip.Addr{} }, "missing"},
		{"IPv6 source", func(c *TemplateConfig) { c.Src = localV6 }, "2001:db8::1 is IPv6"},
		{"multicast source", func(c *TemplateConfig) { c.Src = netip.MustParseAddr("224.0.0.1") }, "not a unicast"},
		{"unspecified source", func(c *TemplateConfig) { c.Src = netip.IPv4Unspecified() }, "not a unicast"},
		{"broadcast source", func(c *TemplateConfig) { c.Src = netip.MustParseAddr("255.255.255.255") }, "not a unicast"},
		{"no source MAC", func(c *TemplateConfig) { c.SrcMAC = nil }, "source MAC has 0 bytes"},
		{"long source MAC", func(c *TemplateConfig) { c.SrcMAC = make([]byte, 8) }, "source MAC has 8 bytes"},
		{"short gateway MAC", func(c *TemplateConfig) { c.DstMAC = make([]byte, 5) }, "destination MAC has 5 bytes"},
		{"profile", func(c *TemplateConfig) { c.Profile = numProfiles }, "unknown profile(4)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := eth
			c.change(&cfg)
			tmpl, err := NewTemplate(cfg)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("error %v", err)
			case c.want != "" && (err == nil || tmpl != nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("template %v, error %v; want an error with %q", tmpl, err, c.want)
			}
			var se *SourceError
			if strings.HasSuffix(c.name, " source") && (!errors.As(err, &se) || se.Hint() == "") {
				t.Errorf("error %v carries no hint", err)
			}
		})
	}
}

func TestProfileNames(t *testing.T) {
	for p := range numProfiles {
		got, err := ParseProfile(p.String())
		if err != nil || got != p {
			t.Errorf("ParseProfile(%q) = %v, %v", p.String(), got, err)
		}
	}
	_, err := ParseProfile("solaris")
	var pe *ProfileError
	if !errors.As(err, &pe) || pe.Name != "solaris" || pe.Hint() != "use one of mss, linux, windows, none" {
		t.Errorf("ParseProfile(solaris): %v", err)
	}
	if s := numProfiles.String(); s != "profile(4)" || numProfiles.Window() != 0 || numProfiles.TTL() != 0 {
		t.Errorf("unknown profile: %s", s)
	}
	if ProfileWindows.TTL() != 128 || ProfileLinux.TTL() != 64 || ProfileMSS.Window() != 64240 {
		t.Error("window or TTL of a profile")
	}
}
