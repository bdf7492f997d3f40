package plan

import (
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/probe"
)

// entries are ways of a routing table.
func entries(words ...any) (all []route.Entry) {
	for i := 0; i < len(words); i += 2 {
		all = append(all, route.Entry{Prefix: netip.MustParsePrefix(words[i].(string)), Path: words[i+1].(route.Path)})
	}
	return all
}

// summed is a part in short: how many positions go how.
type summed struct {
	backend   string
	positions uint64
}

func sumUp(p *Plan) (all []summed) {
	for _, part := range p.Parts() {
		all = append(all, summed{part.Choice.Backend, part.Positions.Len()})
	}
	return all
}

// One address that cannot go the fastest way does not keep the others from it.
func TestApart(t *testing.T) {
	veth, other := ethernet(2, "veth0"), ethernet(3, "eth1")
	lo := route.Path{Link: route.Link{Index: 1, Name: "lo", MTU: 65536, Framing: rawsock.Loopback}, Src: hostAddr, Local: true}
	out := entries("0.0.0.0/0", routed(veth))
	own := append(entries("192.0.2.9/32", lo), out...)
	linked := append(entries("192.0.2.0/24", onLink(veth)), out...)
	both := append(own, linked...)
	halves := entries("10.0.0.0/9", routed(veth), "10.128.0.0/9", routed(other))
	thirds := entries("10.0.0.0/24", routed(veth), "10.0.1.0/24", routed(other), "10.0.2.0/24", onLink(other))
	fast := Config{Rate: 300e3}
	six := entries("fd00::/8", route.Path{Link: veth, Src: netip.MustParseAddr("fd00::9")})
	for _, c := range []struct {
		name    string
		asked   Config
		targets string
		host    fakeHost
		want    []summed
		apart   string // words of what is said of the parts
	}{
		{"one IPv6 address", Config{}, "10.0.0.0/16 fd00::1", fakeHost{table: append(six, out...)},
			[]summed{{"afpacket", 65536}, {"connect", 1}}, "1 IPv6 address by connect: IPv6 targets cannot be probed raw yet"},
		{"one IPv6 address among 16 M", fast, "10.0.0.0/8 fd00::1", fakeHost{table: append(six, out...)},
			[]summed{{"ebpf", 1 << 24}, {"connect", 1}}, "1 IPv6 address by connect"},
		{"one IPv4 address among IPv6", fast, "10.0.0.1 fd00::/120", fakeHost{table: append(six, out...)},
			[]summed{{"ebpf", 1}, {"connect", 256}}, "256 IPv6 addresses by connect"},
		{"one own address", fast, "10.0.0.0/16 192.0.2.9", fakeHost{table: own},
			[]summed{{"ebpf", 65536}, {"afpacket", 1}}, "1 address by afpacket: "},
		{"loopback", fast, "10.0.0.0/16 127.0.0.1", fakeHost{table: append(entries("127.0.0.0/8", lo), out...)},
			[]summed{{"ebpf", 65536}, {"afpacket", 1}}, "1 address by afpacket: "},
		{"neighbours", fast, "10.0.0.0/16 192.0.2.128/25", fakeHost{table: linked},
			[]summed{{"ebpf", 65536}, {"afpacket", 128}}, "128 addresses by afpacket: "},
		{"mostly neighbours", fast, "10.0.0.1 192.0.2.128/25", fakeHost{table: linked},
			[]summed{{"xdp", 128}, {"afpacket", 1}}, "1 address by afpacket: "},
		{"all at once", fast, "10.0.0.0/16 192.0.2.9 192.0.2.200 fd00::1 fd00::2", fakeHost{table: append(six, both...)},
			[]summed{{"ebpf", 65536}, {"afpacket", 2}, {"connect", 2}}, "2 addresses by afpacket: XDP serves one path; 2 IPv6 addresses by connect"},
		{"another interface", fast, "10.0.0.0/9 10.128.0.1", fakeHost{table: halves},
			[]summed{{"ebpf", 1 << 23}, {"afpacket", 1}}, "1 address by afpacket"},
		{"asked for xdp", Config{Backend: "xdp"}, "10.0.0.0/16 192.0.2.9", fakeHost{table: own},
			[]summed{{"xdp", 65536}, {"afpacket", 1}}, "1 address by afpacket"},
		{"asked for ebpf", Config{Backend: "ebpf", Rate: 1e6}, "10.0.0.0/16 192.0.2.0/26", fakeHost{table: linked},
			[]summed{{"ebpf", 65536}, {"afpacket", 64}}, "64 addresses by afpacket"},
		{"asked for afpacket, and IPv6", Config{Backend: "afpacket"}, "10.0.0.0/16 fd00::1", fakeHost{table: append(six, out...)},
			[]summed{{"afpacket", 65536}, {"connect", 1}}, "1 IPv6 address by connect"},
		{"frames, and IPv6", Config{Frames: true}, "10.0.0.0/16 fd00::1", fakeHost{table: append(six, out...)},
			[]summed{{"afpacket", 65536}, {"connect", 1}}, "1 IPv6 address by connect"},

		{"packet sockets serve every way", Config{}, "10.0.0.0/16 192.0.2.9", fakeHost{table: own}, []summed{{"afpacket", 65537}}, ""},
		{"no way has half of all", fast, "10.0.0.0/24 10.0.1.0/24 10.0.2.0/24", fakeHost{table: thirds}, []summed{{"afpacket", 768}}, ""},
		{"no programs", fast, "10.0.0.0/16 192.0.2.9", fakeHost{table: own, xdp: errNoXDP}, []summed{{"afpacket", 65537}}, ""},
		{"a driver that would pause", fast, "10.0.0.0/16 192.0.2.9", fakeHost{table: own, driver: "ixgbe"}, []summed{{"afpacket", 65537}}, ""},
		{"asked for afpacket", Config{Backend: "afpacket", Rate: 300e3}, "10.0.0.0/16 192.0.2.9", fakeHost{table: own}, []summed{{"afpacket", 65537}}, ""},
		{"asked for connect", Config{Backend: "connect"}, "10.0.0.0/16 fd00::1", fakeHost{table: append(six, out...)}, []summed{{"connect", 65537}}, ""},
		{"no rights", fast, "10.0.0.0/16 fd00::1", fakeHost{table: append(six, out...), canRaw: errNoRaw}, []summed{{"connect", 65537}}, ""},
		{"a shard without the one address", Config{ShardI: 2, ShardOf: 4}, "10.0.0.0/16 fd00::1", fakeHost{table: append(six, out...)}, nil, ""},
		{"a shard without the most", Config{ShardI: 1, ShardOf: 4}, "10.0.0.1 fd00::/120", fakeHost{table: append(six, out...)}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.asked.Targets, c.asked.Host = targets(t, "80", strings.Fields(c.targets)...), &c.host
			p, err := New(c.asked)
			if err != nil {
				t.Fatal(err)
			}
			if got := sumUp(p); c.want != nil && !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if words := p.ApartWords(); !strings.HasPrefix(words, c.apart) || c.apart == "" && c.want != nil && words != "" {
				t.Errorf("apart %q, want %q", words, c.apart)
			}
			all := p.Asked.Targets.Space
			if p.whole != nil {
				all = p.whole
			}
			if c.want != nil && (p.Probes() != all.Len() || p.Addresses() != all.Addrs().Len() || p.NumPorts() != all.NumPorts()) {
				t.Errorf("%d probes at %d addresses, %d ports", p.Probes(), p.Addresses(), p.NumPorts())
			}
			for _, part := range p.Apart {
				if part.ScanID != p.ScanID || part.Seed != p.Seed {
					t.Errorf("a part is another scan: %s %d, %s %d", part.ScanID, part.Seed, p.ScanID, p.Seed)
				}
			}
			start := p.StartRecord(p.Choice, time.Unix(0, 0))
			if start.Probes != p.Probes() || start.Targets != p.Addresses() || !strings.Contains(start.BackendReason, c.apart) {
				t.Errorf("scan_start %+v", start)
			}
			if b, err := json.Marshal(p); err != nil || strings.Count(string(b), `"plan":1`) != len(p.Parts()) {
				t.Errorf("%v: %s", err, b)
			}
		})
	}
}

// The shards of a scan with parts are disjoint and together all of it, however small a part is.
func TestApartShards(t *testing.T) {
	table := entries("fd00::/8", route.Path{Link: ethernet(2, "veth0"), Src: netip.MustParseAddr("fd00::9")}, "0.0.0.0/0", routed(ethernet(2, "veth0")))
	for _, words := range []string{"10.0.0.0/26 fd00::1", "10.0.0.1 fd00::/122", "10.0.0.1 fd00::1", "10.0.0.0/30 fd00::/126"} {
		seen := map[netip.AddrPort]int{}
		var digests []string
		for i := 1; i <= 5; i++ {
			p, err := New(Config{Targets: targets(t, "80,443", strings.Fields(words)...), Host: &fakeHost{table: table}, Seed: 7, HasSeed: true, ShardI: i, ShardOf: 5})
			if refused, ok := errors.AsType[*Error](err); ok && refused.Field() == "ShardOf" {
				continue // nothing is left for it
			}
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, p.Digest())
			for _, part := range p.Parts() {
				for pos := part.Positions.Begin; pos < part.Positions.End; pos++ {
					addr, port := part.Space.At(part.Permutation.Index(pos))
					seen[netip.AddrPortFrom(addr, port)]++
				}
			}
		}
		whole := targets(t, "80,443", strings.Fields(words)...).Space
		for at, n := range seen {
			if _, ok := whole.Index(at.Addr(), at.Port()); !ok || n != 1 {
				t.Errorf("%s: %v is asked %d times", words, at, n)
			}
		}
		if uint64(len(seen)) != whole.Len() {
			t.Errorf("%s: %d of %d are asked", words, len(seen), whole.Len())
		}
		if len(slices.Compact(digests)) != 1 {
			t.Errorf("%s: digests %q", words, digests)
		}
	}
}

// What was asked of raw packets and means nothing to the IPv6 part is told, and what it would break is refused.
func TestApartWarns(t *testing.T) {
	veth := ethernet(2, "veth0")
	v4 := entries("0.0.0.0/0", routed(veth))
	v6 := append(entries("fd00::/8", route.Path{Link: veth, Src: netip.MustParseAddr("fd00::9")}), v4...)
	elsewhere := append(entries("fd00::/8", route.Path{Link: ethernet(3, "eth1"), Src: netip.MustParseAddr("fd00::9")}), v4...)
	for _, c := range []struct {
		asked Config
		table []route.Entry
		warns []string
	}{
		{Config{}, v6, nil},
		{Config{Source: hostAddr}, v6, []string{"source address 192.0.2.9 is for the IPv4 targets only"}},
		{Config{Source: netip.MustParseAddr("fd00::9")}, v6, []string{"source address fd00::9 is for the IPv6 targets only"}},
		{Config{SourcePort: 61000}, v6, []string{"and ignores SourcePort"}},
		{Config{Lanes: 1, Profile: probe.ProfileLinux}, v6, []string{"and ignores Lanes, Profile"}},
		{Config{TargetRecall: 0.99}, v6, []string{"and ignores TargetRecall"}},
		{Config{Interface: "veth0"}, v6, nil},
		{Config{Frames: true}, v6, []string{"have none of the IPv6 targets"}},
		{Config{}, v4, []string{"this host has no route to all of 1 IPv6 address"}},
		{Config{Interface: "veth0"}, v4, []string{"this host has no route to all of 1 IPv6 address"}},
	} {
		c.asked.Targets, c.asked.Host = targets(t, "80", "10.0.0.0/24", "fd00::1"), &fakeHost{table: c.table}
		p, err := New(c.asked)
		if err != nil {
			t.Errorf("%+v: %v", c.asked, err)
			continue
		}
		if len(p.Warnings) != len(c.warns) {
			t.Errorf("%q, want %q", p.Warnings, c.warns)
			continue
		}
		for i, w := range c.warns {
			if !strings.Contains(p.Warnings[i], w) {
				t.Errorf("%q, want %q", p.Warnings[i], w)
			}
		}
		six := p.Apart[0]
		if six.Asked.Source.Is4() || six.Asked.SourcePort != 0 || p.Asked.Source.Is6() {
			t.Errorf("source %v:%d for IPv6, %v for IPv4", six.Asked.Source, six.Asked.SourcePort, p.Asked.Source)
		}
	}
	_, err := New(Config{Interface: "veth0", Targets: targets(t, "80", "10.0.0.0/24", "fd00::1"), Host: &fakeHost{table: elsewhere}})
	if refused, ok := errors.AsType[*Error](err); !ok || refused.Field() != "Interface" || !strings.Contains(refused.Hint(), "::/0") {
		t.Errorf("IPv6 leaves by another interface: %v", err)
	}
}
