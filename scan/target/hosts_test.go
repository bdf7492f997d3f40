package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// said are the warnings, one a line.
func said(t *Targets) string {
	var all []string
	for _, w := range t.Warnings {
		all = append(all, w.Text)
	}
	return strings.Join(all, "\n")
}

// oddNames are names as they are met; a list of addresses, or an error.
type oddNames map[string]any

func (n oddNames) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	switch v := n[host].(type) {
	case string:
		return names{host: v}.resolve(ctx, host)
	case error:
		return nil, v
	}
	return names{}.resolve(ctx, host)
}

func dnsError(server string, timeout, temporary bool) error {
	return &net.DNSError{Err: "what it says", Server: server, IsTimeout: timeout, IsTemporary: temporary}
}

// One name that is dead, or leads nowhere, costs its own results and is told; nothing else is lost.
func TestDeadNames(t *testing.T) {
	dns := oddNames{
		"one": "10.0.0.1", "two": "10.0.0.2", "dual": "10.0.0.3 2001:db8::3", "v6": "2001:db8::6", "sink": "0.0.0.0", "sink6": "::", "half": "10.0.0.4 0.0.0.0",
		"mcast": "224.0.0.1 ff02::1", "zone": "fe80::1%eth0", "empty": "", "away": dnsError("10.9.9.9:53", true, true), "ill": dnsError("10.9.9.9:5353", false, true),
		"shut": dnsError("[::1]:53", false, false), "odd": errors.New("odd"), "bare": dnsError("", true, false),
	}
	noIPv6 := func(a netip.Addr) error {
		if a.Is6() {
			return errors.New("no route to them")
		}
		return nil
	}
	for _, c := range []struct {
		name, targets string
		config        Config
		want          string // probes, or the error
		warns         string
		skipped       int
	}{
		{"a dead one", "one old two", Config{}, "10.0.0.1:80 10.0.0.2:80", "skipped 1 name of 3, cannot resolve: no such name: old", 1},
		{"several", "one old older two old", Config{}, "10.0.0.1:80 10.0.0.2:80", "skipped 2 names of 4, cannot resolve: no such name: old, older", 2},
		{"beside addresses", "10.0.0.9 old", Config{}, "10.0.0.9:80", "skipped 1 name of 1, cannot resolve: no such name: old", 1},
		{"several reasons", "one old away empty", Config{}, "10.0.0.1:80", "skipped 1 name of 4, cannot resolve: no such name: old\n" +
			"skipped 1 name of 4, cannot resolve: the name server 10.9.9.9 does not answer: away\nskipped 1 name of 4, the name has no address: empty", 3},
		{"an ill server", "one ill shut bare odd", Config{}, "10.0.0.1:80", "skipped 1 name of 5, cannot resolve: the name server 10.9.9.9:5353 cannot answer: ill\n" +
			"skipped 1 name of 5, cannot resolve: the name server [::1] cannot answer: shut\nskipped 1 name of 5, cannot resolve: the name server does not answer: bare\n" +
			"skipped 1 name of 5, cannot resolve: odd: odd", 4},
		{"sinkholes", "one sink sink6", Config{}, "10.0.0.1:80", "skipped 1 name of 3, it resolves to 0.0.0.0, a \"this network\" address (RFC 791): sink\n" +
			"skipped 1 name of 3, it resolves to ::, the unspecified address (RFC 4291): sink6", 2},
		{"half a sinkhole", "half", Config{}, "10.0.0.4:80", "addresses left out of half: it resolves to 0.0.0.0, a \"this network\" address (RFC 791)", 0},
		{"multicast and a zone", "one mcast zone", Config{}, "10.0.0.1:80", "skipped 1 name of 3, it resolves to 224.0.0.1, a multicast address (RFC 5771): mcast\n" +
			"skipped 1 name of 3, resolves to fe80::1%eth0, which cannot be a target: zone", 2},
		{"with a port", "one old:443", Config{}, "10.0.0.1:80", "skipped 1 name of 2, cannot resolve: no such name: old", 1},
		{"no IPv6", "dual one", Config{Reaches: noIPv6}, "10.0.0.1:80 10.0.0.3:80", "IPv6 addresses left out of dual: no route to them", 0},
		{"no IPv6 for one that has nothing else", "v6 one", Config{Reaches: noIPv6}, "10.0.0.1:80", "skipped 1 name of 2, it has IPv6 addresses only, and no route to them: v6", 1},
		{"an address without a route is the plan's", "2001:db8::1 one", Config{Reaches: noIPv6}, "10.0.0.1:80 [2001:db8::1]:80", "", 0},
		{"no route at all", "dual", Config{Reaches: func(netip.Addr) error { return errors.New("none") }}, "10.0.0.3:80 [2001:db8::3]:80", "", 0},
		{"no IPv4", "dual", Config{Reaches: func(a netip.Addr) error {
			if a.Is4() {
				return errors.New("none")
			}
			return nil
		}}, "[2001:db8::3]:80", "IPv4 addresses left out of dual: none", 0},
		{"-4", "dual v6 2001:db8::9 10.0.0.9", Config{Family: IPv4}, "10.0.0.3:80 10.0.0.9:80", "skipped 1 name of 2, it has no IPv4 address: v6\nleft out, not IPv4: 1 target", 1},
		{"-6", "dual one 2001:db8::9 10.0.0.0/8", Config{Family: IPv6}, "[2001:db8::3]:80 [2001:db8::9]:80", "skipped 1 name of 2, it has no IPv6 address: one\nleft out, not IPv6: 1 target", 1},
		{"-4 and an exclusion of the other family", "dual", Config{Family: IPv4, Exclude: []string{"v6"}}, "10.0.0.3:80", "nothing excluded by v6: no target is among them", 0},

		{"none left", "old", Config{}, `"old": cannot resolve: no such name`, "", 0},
		{"none of many left", "old older", Config{}, "\"old\": cannot resolve: no such name\n\"older\": cannot resolve: no such name", "", 0},
		{"strict", "one old empty", Config{Strict: true}, "\"old\": cannot resolve: no such name\n\"empty\": the name has no address", "", 0},
		{"strict with a sinkhole", "one sink", Config{Strict: true}, `"sink": it resolves to 0.0.0.0, a "this network" address (RFC 791)`, "", 0},
		{"-6 and none", "one 10.0.0.7", Config{Family: IPv6}, `"one": it has no IPv6 address`, "", 0},
		{"-6 and no name", "10.0.0.7", Config{Family: IPv6}, "no targets left: none of them is IPv6", "", 0},
		{"an excluded name is never skipped", "one", Config{Exclude: []string{"old"}}, `Exclude: "old": cannot resolve: no such name`, "", 0},
	} {
		c.config.Targets, c.config.Ports, c.config.Resolve = strings.Fields(c.targets), mustPorts(t, "80"), dns.resolve
		got, err := Load(t.Context(), c.config)
		if err != nil {
			if err.Error() != c.want || hintOf(t, err) == "" {
				t.Errorf("%s: error %v\nwant %s", c.name, err, c.want)
			}
			continue
		}
		if p := probes(got.Space); p != c.want {
			t.Errorf("%s: probes %s\nwant %s", c.name, p, c.want)
		}
		if said(got) != c.warns || got.SkippedNames != c.skipped {
			t.Errorf("%s: %d skipped, warned of\n%s\nwant %d\n%s", c.name, got.SkippedNames, said(got), c.skipped, c.warns)
		}
	}
}

// All that fails is told at once, as far as a screen has room for it.
func TestManyDeadNames(t *testing.T) {
	var list strings.Builder
	for i := range 50 {
		fmt.Fprintf(&list, "old-%d.lab\n", i)
	}
	load := func(targets ...string) (*Targets, error) {
		return Load(t.Context(), Config{Targets: targets, TargetFiles: []string{"-"}, Stdin: strings.NewReader(list.String()), Ports: mustPorts(t, "80"), Resolve: names{}.resolve})
	}
	_, err := load()
	if lines := strings.Split(fmt.Sprint(err), "\n"); len(lines) != 21 || lines[19] != `standard input:20: "old-19.lab": cannot resolve: no such name` || lines[20] != "and 30 names more" {
		t.Errorf("%d lines: %v", len(lines), err)
	}
	got, err := load("10.0.0.1")
	if err != nil || !strings.HasSuffix(said(got), "old-19.lab and 30 more") || got.SkippedNames != 50 || got.HostNames != 50 {
		t.Errorf("%v: %+v", err, got)
	}
}

// The first mistakes of a list are told at once, whatever list it is, and what ends the reading by itself.
func TestMistakes(t *testing.T) {
	const many = "10.0.0.1\n10.0.0.300\n10.0.0.2\n10.0.0.0/33\n\n10.0.0.1:0 # a port\n10.0.0.9-10.0.0.1\n10.0.0\n10.0.0.400\n10.0.0.500\n"
	const first = `f:2: "10.0.0.300": not an address, octet 300 is above 255` + "\n" + `f:4: "10.0.0.0/33": prefix length 33 is above 32` + "\n"
	const five = first + `f:6: "10.0.0.1:0": port 0 cannot be scanned` + "\n" + `f:7: "10.0.0.9-10.0.0.1": address range is reversed` + "\n" + `f:8: "10.0.0": not an address, it has 3 of the 4 octets` + "\nand more"
	for _, c := range []struct {
		name   string
		file   string
		config Config
		want   string
	}{
		{"targets", many, Config{TargetFiles: []string{"f"}}, five},
		{"exclusions", strings.Replace(many, "10.0.0.1:0 ", "10.0.0.1/99 ", 1), Config{Targets: []string{"10.0.0.1"}, ExcludeFiles: []string{"f"}},
			strings.Replace(five, `"10.0.0.1:0": port 0 cannot be scanned`, `"10.0.0.1/99": prefix length 99 is above 32`, 1)},
		{"scope", "10.0.0.0/8\n10.0.0.300\n10.0.0.0/33\n", Config{Targets: []string{"10.0.0.1"}, ScopeFiles: []string{"f"}},
			`f:2: "10.0.0.300": not an address, octet 300 is above 255` + "\n" + `f:3: "10.0.0.0/33": prefix length 33 is above 32`},
		{"one", "10.0.0.1\n10.0.0.300\n", Config{TargetFiles: []string{"f"}}, `f:2: "10.0.0.300": not an address, octet 300 is above 255`},
		{"outside the scope", "10.0.0.1\n11.0.0.1\n12.0.0.1\n", Config{TargetFiles: []string{"f"}, ScopeFiles: []string{"s"}},
			`f:2: "11.0.0.1": this is outside the scope s` + "\n" + `f:3: "12.0.0.1": this is outside the scope s`},
		{"what cannot be a target", "224.0.0.1\n0.0.0.0\n", Config{TargetFiles: []string{"f"}},
			`f:1: "224.0.0.1": this is a multicast address (RFC 5771)` + "\n" + `f:2: "0.0.0.0": this is a "this network" address (RFC 791)`},
		{"words", "", Config{Targets: []string{"10.0.0.300", "10.0.0.1", "10.0.0.0/33"}}, `"10.0.0.300": not an address, octet 300 is above 255` + "\n" + `"10.0.0.0/33": prefix length 33 is above 32`},
		{"no text ends it", "10.0.0.300\n10.0.0.1\x00\n10.0.0.400\n", Config{TargetFiles: []string{"f"}}, "f:2: a zero byte: this is no text"},
	} {
		c.config.Ports, c.config.Open = mustPorts(t, "80"), files{"f": c.file, "s": "10.0.0.0/8\n"}.open
		_, err := Load(t.Context(), c.config)
		if err == nil || err.Error() != c.want || hintOf(t, err) == "" {
			t.Errorf("%s:\ngot  %v\nwant %s", c.name, err, c.want)
		}
	}
}

// A name server that never answers is not waited for once for every name.
func TestNameServerAway(t *testing.T) {
	var list []string
	for i := range 500 {
		list = append(list, fmt.Sprintf("n%d.lab", i))
	}
	var asked atomic.Int32
	silent := func(context.Context, string) ([]netip.Addr, error) {
		asked.Add(1)
		return nil, dnsError("10.9.9.9:53", true, true)
	}
	c := Config{Targets: append(list, "10.0.0.1"), Ports: mustPorts(t, "80"), Resolve: silent}
	got, err := Load(t.Context(), c)
	if err != nil || got.SkippedNames != 500 || !strings.HasPrefix(said(got), "skipped 500 names of 500, cannot resolve: the name server 10.9.9.9 does not answer: n0.lab") {
		t.Errorf("%v, %s", err, said(got))
	}
	if n := asked.Load(); n < maxUnanswered || n > maxUnanswered+resolvers {
		t.Errorf("%d look-ups", n)
	}
	// One answer is enough to go on asking.
	answered := make(chan struct{})
	c.Progress = func(done, _ int) {
		if done == 1 {
			close(answered)
		}
	}
	c.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
		if host == "n0.lab" {
			return []netip.Addr{netip.MustParseAddr("10.0.0.2")}, nil
		}
		<-answered
		return silent(ctx, host)
	}
	if got, err = Load(t.Context(), c); err != nil || got.SkippedNames != 499 || asked.Load() < 499 {
		t.Errorf("%v: %d skipped, %d look-ups", err, got.SkippedNames, asked.Load())
	}
}

// A name is one however it is written, is asked for once, and means the same to targets, exclusions and beacons.
func TestNameOnce(t *testing.T) {
	asked := map[string]int{}
	next := byte(0)
	c := Config{
		Targets: []string{"LB.lab", "10.0.0.0/24"}, TargetFiles: []string{"-"}, Stdin: strings.NewReader("lb.LAB.\nWWW.lab\nwww.lab.:22\n"), Exclude: []string{"lb.lab."},
		Ports: mustPorts(t, "80"), Beacons: []string{"Www.Lab.:80"},
		Progress: func(done, total int) {
			if done > total || total > 2 {
				t.Errorf("%d of %d", done, total)
			}
		},
		Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
			asked[host]++
			next++ // a server that rotates
			return []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, next})}, nil
		},
	}
	got, err := Load(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(asked) != "map[lb.lab.:1 www.lab.:1]" || got.Space.Addrs().Contains(netip.MustParseAddr("10.0.0.1")) || got.HostNames != 2 {
		t.Errorf("asked %v, %d names", asked, got.HostNames)
	}
}

// A name with a final dot is looked up as it is: the resolver's search domains would make another name of it.
func TestRootedNames(t *testing.T) {
	for _, c := range []struct{ targets, exclude, want string }{
		{"web", "", "web"},
		{"web.", "", "web."},
		{"web.lab", "", "web.lab"},
		{"Web.Lab.", "", "web.lab."},
		{"web.lab.:443", "", "web.lab."},
		{"web web.", "", "web."},
		{"web.", "web", "web"}, // which was asked for first
		{"web", "web.", "web."},
		{"web. db", "", "web. db"},
	} {
		var asked []string
		var mu sync.Mutex
		config := Config{Targets: strings.Fields(c.targets), Ports: mustPorts(t, "80"), Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, host)
			return []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(len(asked))})}, nil
		}}
		if c.exclude != "" {
			config.Exclude = []string{c.exclude}
			config.Targets = append(config.Targets, "10.0.0.9")
		}
		if _, err := Load(t.Context(), config); err != nil {
			t.Errorf("%s: %v", c.targets, err)
		}
		slices.Sort(asked)
		want := strings.Fields(c.want)
		slices.Sort(want)
		if !slices.Equal(asked, want) {
			t.Errorf("%s, excluded %s: asked for %q, want %q", c.targets, c.exclude, asked, want)
		}
	}
}

// Every name of an address is kept, and the one that a port was asked for by comes first.
func TestNames(t *testing.T) {
	one := netip.MustParseAddr("10.0.0.1")
	got, err := Load(t.Context(), Config{
		Targets: []string{"c.lab:9", "a.lab", "B.lab", "b.lab.", "c.lab:9", "d.lab:22", "a.lab:22", "other.lab", "10.0.0.3"}, Ports: mustPorts(t, "80"),
		Resolve: names{"a.lab": "10.0.0.1", "b.lab": "10.0.0.1 10.0.0.2", "c.lab": "10.0.0.1", "d.lab": "10.0.0.1", "other.lab": "10.0.0.2"}.resolve,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		addr       string
		port       uint16
		asked, all string
	}{
		{"10.0.0.1", 80, "", "a.lab b.lab c.lab d.lab"},
		{"10.0.0.1", 9, "c.lab", "a.lab b.lab c.lab d.lab"},
		{"10.0.0.1", 22, "d.lab a.lab", "a.lab b.lab c.lab d.lab"},
		{"10.0.0.2", 80, "", "b.lab other.lab"},
		{"10.0.0.3", 80, "", ""},
		{"10.0.0.4", 80, "", ""},
	} {
		asked, all := got.Names.Of(netip.MustParseAddr(c.addr), c.port)
		if strings.Join(asked, " ") != c.asked || strings.Join(all, " ") != c.all {
			t.Errorf("%s:%d: %v of %v, want %s of %s", c.addr, c.port, asked, all, c.asked, c.all)
		}
	}
	if n := testing.AllocsPerRun(100, func() { got.Names.Of(one, 22) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if asked, all := (*Names)(nil).Of(one, 1); asked != nil || all != nil {
		t.Error("nobody has a name")
	}
}

// Excluded ports are probed nowhere, and what is excluded in vain is told.
func TestExcludePorts(t *testing.T) {
	for _, c := range []struct {
		name, targets, ports, exclude string
		config                        Config
		want, warns                   string
	}{
		{"of the scan", "10.0.0.1", "22,80,9100", "9100,1-25", Config{}, "10.0.0.1:80", ""},
		{"of a pair", "10.0.0.1 10.0.0.2:9100 10.0.0.3:22", "80", "9100", Config{}, "10.0.0.1:80 10.0.0.3:22", "left out, as the port is excluded: 10.0.0.2:9100"},
		{"of the name of a pair", "10.0.0.1 web:9100", "80", "9100", Config{}, "10.0.0.1:80", "left out, as the port is excluded: web"},
		{"in vain", "10.0.0.1", "80", "9100-9107", Config{}, "10.0.0.1:80", "nothing excluded by ExcludePorts 9100-9107: none of them was to be probed"},
		{"all", "10.0.0.1", "80,443", "-", Config{}, "no ports left: ExcludePorts covers every one", ""},
		{"all of pairs", "10.0.0.1:9100", "80", "9100", Config{}, "no targets left: the ports of all are excluded", ""},
		{"of a beacon", "10.0.0.1", "80", "22", Config{Beacons: []string{"10.0.0.1:22"}}, `Beacons: "10.0.0.1:22": port 22 is excluded`, ""},
	} {
		c.config.Targets, c.config.Ports, c.config.ExcludePorts = strings.Fields(c.targets), mustPorts(t, c.ports), mustPorts(t, c.exclude)
		c.config.Resolve = names{"web": "10.0.0.9"}.resolve
		got, err := Load(t.Context(), c.config)
		if err != nil {
			if err.Error() != c.want || hintOf(t, err) == "" {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
			continue
		}
		if p := probes(got.Space); p != c.want || said(got) != c.warns {
			t.Errorf("%s: %s, %q\nwant %s, %q", c.name, p, said(got), c.want, c.warns)
		}
	}
}

// An exclusion that excludes nothing is told of, and a prefix that is not what it looks like.
func TestTold(t *testing.T) {
	got, err := Load(t.Context(), Config{
		Targets: []string{"10.0.0.7/30", "10.1.0.0/30", "2001:db8::9/126"}, Exclude: []string{"10.92.0.0/16", "10.0.0.5", "10.93.0.1,10.1.0.1"},
		ExcludeFiles: []string{"never", "half"}, ScopeFiles: []string{"scope"}, Ports: mustPorts(t, "80"),
		Open: files{"never": "10.94.0.0/16\n10.95.0.1\n", "half": "10.96.0.0/16\n10.1.0.2", "scope": "10.0.0.0/8\n2001:db8::1/32\n"}.open,
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "nothing excluded by 10.92.0.0/16, never: no target is among them"; said(got) != want {
		t.Errorf("%s\nwant %s", said(got), want)
	}
	want := []Taken{{"2001:db8::1/32", "2001:db8::/32"}, {"10.0.0.7/30", "10.0.0.4/30"}, {"2001:db8::9/126", "2001:db8::8/126"}}
	if !slices.Equal(got.Taken, want) || got.NumTaken != 3 {
		t.Errorf("%v", got.Taken)
	}
}
