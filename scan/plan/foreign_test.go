package plan

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"synoptic/rawsock/route"
)

// A source address that is not this host's is refused unless that is asked for, and then told.
func TestForeignSource(t *testing.T) {
	veth := ethernet(2, "veth0")
	spoofed := netip.MustParseAddr("192.0.2.66")
	ways := func(answers bool) []route.Path {
		p := routed(veth)
		p.Src, p.Foreign, p.Own, p.Answers = spoofed, true, hostAddr, answers
		return []route.Path{p}
	}
	for _, c := range []struct {
		name        string
		asked       Config
		paths       []route.Path
		field, says string // of the refusal
		hint        string
		warns       string
	}{
		{name: "nothing asked for", asked: Config{}},
		{name: "own", asked: Config{Source: hostAddr}, paths: []route.Path{routed(veth)}},
		{name: "not ours", asked: Config{Source: spoofed}, paths: ways(false), field: "Source", says: "source address 192.0.2.66 is not an address of this host", hint: "give an address of this host: 192.0.2.9; or add SpoofSource"},
		{name: "not ours, on-link", asked: Config{Source: spoofed}, paths: ways(true), field: "Source", says: "source address 192.0.2.66 is not an address of this host", hint: "add SpoofSource"},
		{name: "not ours, a dry run of a fast one", asked: Config{Source: spoofed, Rate: 1e6}, paths: ways(true), field: "Source", says: "source address 192.0.2.66", hint: "SpoofSource"},
		{name: "asked for, on-link", asked: Config{Source: spoofed, SpoofSource: true}, paths: ways(true), warns: "source address 192.0.2.66 is not an address of this host: ARP requests for it are answered on veth0 while the scan runs"},
		{name: "asked for, routed here or not", asked: Config{Source: spoofed, SpoofSource: true}, paths: ways(false), warns: "nothing responds unless answers to it are routed here"},
		{name: "asked for in vain", asked: Config{Source: hostAddr, SpoofSource: true}, paths: []route.Path{routed(veth)}, warns: "SpoofSource changes nothing: 192.0.2.9 is an address of this host"},
		{name: "without an address", asked: Config{SpoofSource: true}, field: "SpoofSource", says: "there is no Source to spoof", hint: "give the address with Source"},
		{name: "with verification", asked: Config{Source: spoofed, SpoofSource: true, Verify: true}, paths: ways(true), warns: "Verify connects from an address of this host"},
		{name: "through one of two ways", asked: Config{Source: spoofed, SpoofSource: true}, paths: append(ways(true), ways(false)...), warns: "answered on veth0 while"},
		{name: "connect", asked: Config{Source: spoofed, SpoofSource: true, Backend: "connect"}, field: "Source", says: "source address 192.0.2.66: not ours", hint: "give an address of this host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := &fakeHost{paths: c.paths, local: []netip.Addr{netip.MustParseAddr("127.0.0.1"), hostAddr, netip.MustParseAddr("fd00::9")}}
			if c.asked.Backend == BackendConnect {
				host.bind = errors.New("not ours")
			}
			c.asked.Targets, c.asked.Host = targets(t, "80", "10.0.0.0/24"), host
			p, err := New(c.asked)
			if c.field != "" {
				refused, ok := errors.AsType[*Error](err)
				if !ok || refused.Field() != c.field || !strings.Contains(err.Error(), c.says) || !strings.Contains(refused.Hint(), c.hint) {
					t.Errorf("%v (%s)", err, hintOf(err))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if said := strings.Join(p.Warnings, "\n"); !strings.Contains(said, c.warns) || c.warns == "" && said != "" {
				t.Errorf("warnings %q, want %q", said, c.warns)
			}
			if own := p.OwnSource(); c.asked.SpoofSource && own.IsValid() || !c.asked.SpoofSource && own != c.asked.Source {
				t.Errorf("the host's own connections come from %v", own)
			}
		})
	}
}
