package plan

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
)

// loopback is the way to this host's own addresses.
func loopback(src string) route.Path {
	return route.Path{Link: route.Link{Index: 1, Name: "lo", MTU: 65536, Framing: rawsock.Loopback}, Src: netip.MustParseAddr(src), Local: true}
}

// planned is what a plan says of what was asked for: its warnings and positions, or the field at fault, the refusal and its hint.
type planned struct {
	warns     []string // parts of them, in their order
	positions uint64   // 0: any number
	field     string
	says      string
	hint      string
}

func (want planned) check(t *testing.T, name string, asked Config, words string, host *fakeHost) {
	t.Helper()
	p, err := New(withTargets(t, asked, words, host))
	if want.field != "" {
		refused, ok := errors.AsType[interface {
			error
			Field() string
			Hint() string
		}](err)
		if !ok || refused.Field() != want.field || !strings.Contains(err.Error(), want.says) || !strings.Contains(refused.Hint(), want.hint) || refused.Hint() == "" {
			t.Errorf("%s: %v (%s)", name, err, hintOf(err))
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if len(p.Warnings) != len(want.warns) {
		t.Errorf("%s: warnings %q, want %q", name, p.Warnings, want.warns)
		return
	}
	for i, w := range want.warns {
		if !strings.Contains(p.Warnings[i], w) {
			t.Errorf("%s: warning %q, want %q", name, p.Warnings[i], w)
		}
	}
	if n := p.Probes(); want.positions > 0 && n != want.positions {
		t.Errorf("%s: %d positions, want %d", name, n, want.positions)
	}
}

// This host's answers to its own addresses never come to a source address that is not its own.
func TestForeignSourceOfOwnTargets(t *testing.T) {
	foreign := netip.MustParseAddr("198.51.100.7")
	away := routed(ethernet(2, "veth0"))
	away.Src, away.Foreign, away.Own = foreign, true, hostAddr
	spoofed := entries("127.0.0.0/8", loopback("127.0.0.1"), "192.0.2.9/32", loopback("192.0.2.9"), "0.0.0.0/0", away)
	own := entries("127.0.0.0/8", loopback("127.0.0.7"), "0.0.0.0/0", routed(ethernet(2, "veth0")))
	local := []netip.Addr{netip.MustParseAddr("127.0.0.1"), hostAddr}
	const hint = "leave Source out, or give an address of this host: 192.0.2.9"
	for _, c := range []struct {
		name, targets string
		asked         Config
		table         []route.Entry
		want          planned
	}{
		{"loopback", "127.0.0.1", Config{Source: foreign}, spoofed, planned{field: "Source", says: "every target is", hint: hint}},
		{"a range of loopback", "127.0.0.0/24", Config{Source: foreign}, spoofed, planned{field: "Source", says: "every target is", hint: hint}},
		{"an address of an interface", "192.0.2.9", Config{Source: foreign}, spoofed, planned{field: "Source", says: "every target is", hint: hint}},
		{"both", "192.0.2.9 127.0.0.1", Config{Source: foreign}, spoofed, planned{field: "Source", says: "every target is", hint: hint}},
		{"asked for all the same", "192.0.2.9 127.0.0.1", Config{Source: foreign, SpoofSource: true}, spoofed, planned{field: "Source", says: "every target is", hint: hint}},
		{"by the fast way", "192.0.2.9", Config{Source: foreign, SpoofSource: true, Rate: 1e6}, spoofed, planned{field: "Source", says: "every target is", hint: hint}},
		{"by packet sockets", "127.0.0.1", Config{Source: foreign, Backend: BackendAFPacket}, spoofed, planned{field: "Source", says: "every target is", hint: hint}},
		{"beside others, not asked for", "10.0.0.0/24 127.0.0.1", Config{Source: foreign}, spoofed, planned{field: "Source", says: "its answers would not come back", hint: "or add SpoofSource"}},
		{"beside others", "10.0.0.0/24 127.0.0.1", Config{Source: foreign, SpoofSource: true}, spoofed, planned{positions: 257, warns: []string{
			"source address 198.51.100.7 is not for 1 address of this host itself, whose answers would not come back: they are probed from its own addresses", "nothing responds unless"}}},
		{"two beside others", "10.0.0.0/24 127.0.0.1 192.0.2.9", Config{Source: foreign, SpoofSource: true}, spoofed, planned{positions: 258, warns: []string{"is not for 2 addresses of this host itself", "nothing responds"}}},
		{"beside others by the fast way", "10.0.0.0/16 127.0.0.1", Config{Source: foreign, SpoofSource: true, Rate: 300e3}, spoofed, planned{positions: 65537, warns: []string{"is not for 1 address of this host itself", "nothing responds"}}},
		{"beside IPv6", "127.0.0.1 fd00::1", Config{Source: foreign, SpoofSource: true}, append(entries("fd00::/8", route.Path{Link: ethernet(2, "veth0"), Src: netip.MustParseAddr("fd00::9")}), spoofed...),
			planned{positions: 2, warns: []string{"is for the IPv4 targets only", "is not for 1 address of this host itself"}}},
		{"an own source", "127.0.0.1", Config{Source: netip.MustParseAddr("127.0.0.7")}, own, planned{positions: 1}},
		{"an own source that is asked to be spoofed", "127.0.0.1", Config{Source: netip.MustParseAddr("127.0.0.7"), SpoofSource: true}, own, planned{positions: 1, warns: []string{"SpoofSource changes nothing"}}},
		{"no source", "127.0.0.1 192.0.2.9", Config{}, spoofed[:2], planned{positions: 2}},
	} {
		c.want.check(t, c.name, c.asked, c.targets, &fakeHost{table: c.table, local: local})
	}
}

// What was asked for, and the routes or the backend have made void, is told.
func TestNothingIsOverruledSilently(t *testing.T) {
	veth := ethernet(2, "veth0")
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	byMAC := onLink(veth)
	byMAC.ByMAC = true
	lo, out := entries("127.0.0.0/8", loopback("127.0.0.1")), entries("0.0.0.0/0", routed(veth))
	both := append(append(lo, entries("192.0.2.0/24", onLink(veth))...), out...)
	const local, gateway = "Interface veth0 is not taken to 1 address of this host itself: they are reached by lo alone", "GatewayMAC 02:00:00:00:00:01 changes nothing"
	for _, c := range []struct {
		name, targets string
		asked         Config
		host          fakeHost
		want          planned
	}{
		{"an interface for this host", "127.0.0.1", Config{Interface: "veth0"}, fakeHost{table: both}, planned{warns: []string{local}}},
		{"an interface for this host and others", "127.0.0.1 10.0.0.0/24", Config{Interface: "veth0"}, fakeHost{table: both}, planned{warns: []string{local}}},
		{"lo for this host", "127.0.0.1", Config{Interface: "lo"}, fakeHost{table: both}, planned{}},
		{"an interface for others", "10.0.0.0/24 192.0.2.7", Config{Interface: "veth0"}, fakeHost{table: both}, planned{}},
		{"a gateway for neighbours", "192.0.2.0/25", Config{GatewayMAC: mac}, fakeHost{table: both}, planned{warns: []string{gateway}}},
		{"a gateway for this host", "127.0.0.1", Config{GatewayMAC: mac}, fakeHost{table: both}, planned{warns: []string{gateway}}},
		{"a gateway for some", "192.0.2.0/25 10.0.0.1", Config{GatewayMAC: mac}, fakeHost{table: both}, planned{}},
		{"a gateway in place of a route", "10.0.0.1", Config{GatewayMAC: mac}, fakeHost{table: entries("0.0.0.0/0", byMAC)}, planned{}},
		{"a gateway on a tunnel", "10.0.0.1", Config{GatewayMAC: mac}, fakeHost{table: entries("0.0.0.0/0", route.Path{Link: route.Link{Index: 4, Name: "wg0", MTU: 1420, Framing: rawsock.None}, Src: hostAddr})}, planned{warns: []string{gateway}}},
		{"lanes that the generator has not", "10.0.0.0/24", Config{Rate: 300e3, Lanes: 4}, fakeHost{table: out}, planned{warns: []string{"Lanes 4 is not heeded: backend ebpf has 1"}}},
		{"lanes that xdp has not", "192.0.2.0/25", Config{Rate: 300e3, Lanes: 2}, fakeHost{table: both}, planned{warns: []string{"Lanes 2 is not heeded: backend xdp has 1"}}},
		{"lanes", "10.0.0.0/24", Config{Lanes: 4}, fakeHost{table: out}, planned{}},
		{"retries by connect", "10.0.0.1", Config{Backend: BackendConnect, Attempts: 5, RetryGap: time.Second}, fakeHost{table: out}, planned{warns: []string{"ignores Attempts, RetryGap"}}},
		{"no retries by connect", "10.0.0.1", Config{Backend: BackendConnect, Attempts: 1}, fakeHost{table: out}, planned{warns: []string{"ignores Attempts"}}},
		{"batches without rights", "10.0.0.1", Config{Batch: 5}, fakeHost{table: out, canRaw: errNoRaw}, planned{warns: []string{"ignores Batch"}}},
		{"nothing by connect", "10.0.0.1", Config{Backend: BackendConnect}, fakeHost{table: out}, planned{}},
		{"retries of some IPv6 targets", "10.0.0.1 fd00::1", Config{Attempts: 5}, fakeHost{table: append(entries("fd00::/8", onLink(veth)), out...)}, planned{warns: []string{"connect() probes 1 IPv6 address, and ignores Attempts"}}},

		{"the MAC address of all", "10.0.0.1", Config{GatewayMAC: net.HardwareAddr{255, 255, 255, 255, 255, 255}}, fakeHost{table: out}, planned{field: "GatewayMAC", says: "ff:ff:ff:ff:ff:ff is not the MAC address of an interface"}},
		{"the MAC address of a group", "10.0.0.1", Config{GatewayMAC: net.HardwareAddr{1, 0, 0x5e, 0, 0, 1}}, fakeHost{table: out}, planned{field: "GatewayMAC", says: "01:00:5e:00:00:01 is not"}},
		{"the MAC address of nobody", "10.0.0.1", Config{GatewayMAC: make(net.HardwareAddr, 6)}, fakeHost{table: out}, planned{field: "GatewayMAC", says: "00:00:00:00:00:00 is not"}},
		{"an InfiniBand address", "10.0.0.1", Config{GatewayMAC: make(net.HardwareAddr, 20)}, fakeHost{table: out}, planned{field: "GatewayMAC", says: "is not the MAC address"}},
	} {
		c.want.check(t, c.name, c.asked, c.targets, &c.host)
	}
}

// One target without a route does not decide for the others: it is left out, told and counted.
func TestUnrouted(t *testing.T) {
	veth, other := ethernet(2, "veth0"), ethernet(3, "eth1")
	ten := entries("10.0.0.0/8", routed(veth), "192.0.2.9/32", loopback("192.0.2.9"), "172.16.0.0/12", routed(other))
	six := append(entries("fd00::/8", route.Path{Link: veth, Src: netip.MustParseAddr("fd00::9")}), ten...)
	const one = "1 address left out: no route to 11.0.0.1: the table has none"
	fast := Config{Rate: 300e3}
	for _, c := range []struct {
		name, targets string
		asked         Config
		host          fakeHost
		want          planned
		unrouted      uint64
	}{
		{"one", "10.0.0.0/24 11.0.0.1", Config{}, fakeHost{table: ten}, planned{positions: 256, warns: []string{one}}, 1},
		{"a hole", "10.255.0.0-11.0.0.255", Config{}, fakeHost{table: ten}, planned{positions: 65536, warns: []string{"256 addresses left out: no route to 11.0.0.0/24: the table has none"}}, 256},
		{"with a port of its own", "10.0.0.1:443 11.0.0.1:22 10.0.0.2", Config{}, fakeHost{table: ten}, planned{positions: 2, warns: []string{one}}, 1},
		{"many", "10.0.0.1 11.0.0.1 12.0.0.1 13.0.0.1 14.0.0.1 15.0.0.1 16.0.0.1", Config{}, fakeHost{table: ten}, planned{positions: 1, warns: []string{"6 addresses left out: no route to 11.0.0.1: the table has none; no route to 12.0.0.1: the table has none; no route to 13.0.0.1: the table has none; no route to 14.0.0.1: the table has none; and 2 more ranges"}}, 6},
		{"by the fast way", "10.0.0.0/16 11.0.0.1", fast, fakeHost{table: ten}, planned{positions: 65536, warns: []string{one}}, 1},
		{"by the fast way, with an own address", "10.0.0.0/16 192.0.2.9 11.0.0.1", fast, fakeHost{table: ten}, planned{positions: 65537, warns: []string{one}}, 1},
		{"by xdp", "10.0.0.0/16 172.16.0.1 11.0.0.1", Config{Backend: BackendXDP}, fakeHost{table: ten}, planned{positions: 65537, warns: []string{one}}, 1},
		{"beside IPv6", "10.0.0.0/24 fd00::1 11.0.0.1", Config{}, fakeHost{table: six}, planned{positions: 257, warns: []string{one}}, 1},
		{"by connect", "10.0.0.0/24 11.0.0.1", Config{Backend: BackendConnect}, fakeHost{table: ten}, planned{positions: 257}, 0}, // the kernel says nothing for sure
		{"with a shard", "10.0.0.0/24 11.0.0.1", Config{ShardI: 1, ShardOf: 4}, fakeHost{table: ten}, planned{positions: 64, warns: []string{one}}, 1},

		{"strict", "10.0.0.0/24 11.0.0.1", Config{Strict: true}, fakeHost{table: ten}, planned{field: "Targets", says: "no route to 11.0.0.1: the table has none", hint: "Exclude 11.0.0.1"}, 0},
		{"strict by the fast way", "10.0.0.0/16 11.0.0.1", Config{Strict: true, Rate: 300e3}, fakeHost{table: ten}, planned{field: "Targets", says: "no route to 11.0.0.1"}, 0},
		{"none left", "11.0.0.1 12.0.0.1", Config{}, fakeHost{table: ten}, planned{field: "Targets", says: "no route to 11.0.0.1", hint: "Exclude 11.0.0.1"}, 0},
		{"a beacon", "10.0.0.0/24 11.0.0.1", Config{Beacons: []netip.AddrPort{netip.MustParseAddrPort("11.0.0.1:80")}}, fakeHost{table: ten}, planned{field: "Beacons", says: "beacon 11.0.0.1:80 is not among the targets"}, 0},
	} {
		c.want.check(t, c.name, c.asked, c.targets, &c.host)
		if c.want.field != "" {
			continue
		}
		p, err := New(withTargets(t, c.asked, c.targets, &c.host))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		start := p.StartRecord(p.Choice, time.Unix(0, 0))
		if p.Unreached() != c.unrouted || start.Unrouted != c.unrouted || start.Probes != c.want.positions {
			t.Errorf("%s: %d unrouted, scan_start %+v", c.name, p.Unreached(), start)
		}
		for _, part := range p.Parts() {
			if part.Space.Addrs().Contains(netip.MustParseAddr("11.0.0.1")) && c.unrouted > 0 {
				t.Errorf("%s: what has no route is probed by %s", c.name, part.Choice.Backend)
			}
		}
	}
}

// withTargets is a Config for targets of a host.
func withTargets(t *testing.T, c Config, words string, host *fakeHost) Config {
	t.Helper()
	c.Targets, c.Host = targets(t, "80", strings.Fields(words)...), host
	return c
}

// More targets behind one next hop than a usual table of neighbours holds are hinted at, and what the rate makes of it.
func TestHintOfContacts(t *testing.T) {
	veth := ethernet(2, "veth0")
	gateway, byMAC := entries("0.0.0.0/0", routed(veth)), onLink(veth)
	byMAC.ByMAC = true
	for name, c := range map[string]struct {
		words string
		asked Config
		table []route.Entry
		want  string // part of the hint; "" for none
	}{
		"many":                {"10.0.0.0/21", Config{}, gateway, "2048 addresses lie behind next hop 192.0.2.1: if they are on its own links, its table of neighbours may be too small for them (Linux: 1024 entries); the rate is lowered"},
		"many, at a fixed":    {"10.0.0.0/21", Config{Rate: 100}, gateway, "and first probes get lost; Rate auto slows down"},
		"few, on many ports":  {"10.0.0.0/22", Config{}, gateway, ""},
		"many on the link":    {"10.0.0.0/21", Config{}, entries("10.0.0.0/8", onLink(veth)), ""},
		"many by one address": {"10.0.0.0/21", Config{}, entries("0.0.0.0/0", byMAC), "2048 addresses lie behind the next hop"},
		"many by connect":     {"10.0.0.0/21", Config{Backend: BackendConnect}, gateway, ""},
	} {
		p, err := New(withTargets(t, c.asked, c.words, &fakeHost{table: c.table}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if said := strings.Join(p.Hints, "\n"); !strings.Contains(said, c.want) || c.want == "" && said != "" {
			t.Errorf("%s: %q, want %q", name, said, c.want)
		}
	}
}
