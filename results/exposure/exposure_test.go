package exposure

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"synoptic/results"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefixes(all ...string) (list []netip.Prefix) {
	for _, s := range all {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

// seen is a view of records: "10.0.0.1:80 open" and the like.
func seen(t *testing.T, lines ...string) *Records {
	t.Helper()
	reasons := map[string]results.Reason{"open": results.SYNACK, "closed": results.RST, "filtered": results.ICMPAdminProhibited, "unknown": results.EvidenceLost}
	var r Records
	for i, line := range lines {
		ep, state, _ := strings.Cut(line, " ")
		at := netip.MustParseAddrPort(ep)
		r.Add("scan", &results.Port{Addr: at.Addr(), Port: at.Port(), Reason: reasons[state], Time: int64(i + 1)})
	}
	return &r
}

// Each row of the table of verdicts.
func TestVerdicts(t *testing.T) {
	local := prefixes("127.0.0.0/8", "10.0.0.1/32", "10.0.0.2/32", "::1/128", "fd00::1/128")
	for name, c := range map[string]struct {
		listener results.Listener
		seen     []string
		want     results.Verdict
	}{
		"exposed":                     {results.Listener{Addr: addr("10.0.0.1"), Port: 80}, []string{"10.0.0.1:80 open"}, results.VerdictExposed},
		"by one of its addresses":     {results.Listener{Addr: addr("0.0.0.0"), Port: 80}, []string{"10.0.0.1:80 closed", "10.0.0.2:80 open"}, results.VerdictExposed},
		"IPv6 takes IPv4":             {results.Listener{Addr: addr("::"), Port: 80}, []string{"10.0.0.2:80 open"}, results.VerdictExposed},
		"mapped":                      {results.Listener{Addr: addr("::ffff:10.0.0.1"), Port: 80}, []string{"10.0.0.1:80 open"}, results.VerdictExposed},
		"IPv6 only":                   {results.Listener{Addr: addr("::"), Port: 80, V6Only: true}, []string{"10.0.0.2:80 open"}, results.VerdictNotAsked},
		"IPv4 does not take IPv6":     {results.Listener{Addr: addr("0.0.0.0"), Port: 80}, []string{"[fd00::1]:80 open"}, results.VerdictNotAsked},
		"reset":                       {results.Listener{Addr: addr("0.0.0.0"), Port: 80}, []string{"10.0.0.1:80 closed", "10.0.0.2:81 closed"}, results.VerdictRefused},
		"filtered before reset":       {results.Listener{Addr: addr("0.0.0.0"), Port: 80}, []string{"10.0.0.1:80 filtered", "10.0.0.2:80 closed"}, results.VerdictFirewalled},
		"filtered":                    {results.Listener{Addr: addr("0.0.0.0"), Port: 80}, []string{"10.0.0.1:80 filtered"}, results.VerdictFirewalled},
		"silence that proves nothing": {results.Listener{Addr: addr("0.0.0.0"), Port: 80}, []string{"10.0.0.1:80 unknown"}, results.VerdictUnknown},
		"no record of the port":       {results.Listener{Addr: addr("0.0.0.0"), Port: 80}, []string{"10.0.0.1:81 closed"}, results.VerdictUnknown},
		"another address":             {results.Listener{Addr: addr("10.0.0.2"), Port: 80}, []string{"10.0.0.1:80 open"}, results.VerdictNotAsked},
		"nothing":                     {results.Listener{Addr: addr("0.0.0.0"), Port: 80}, nil, results.VerdictNotAsked},
		"loopback":                    {results.Listener{Addr: addr("127.0.0.1"), Port: 80}, []string{"10.0.0.1:80 closed"}, results.VerdictLocal},
		"loopback, from itself":       {results.Listener{Addr: addr("127.0.0.1"), Port: 80}, []string{"127.0.0.1:80 open"}, results.VerdictExposed},
	} {
		t.Run(name, func(t *testing.T) {
			l := c.listener
			Compare([]*Namespace{{Local: local, Listeners: []*results.Listener{&l}}}, seen(t, c.seen...))
			if l.Verdict != c.want {
				t.Errorf("%s, want %s", l.Verdict, c.want)
			}
		})
	}
}

// What is seen and does not listen is explained by what explains it, and nothing else.
func TestSeenNotListening(t *testing.T) {
	no := func(uint16) (bool, error) { return false, nil }
	base := func() []*Namespace {
		return []*Namespace{
			{NetNS: "1", Local: prefixes("10.0.0.1/32"), Listeners: []*results.Listener{{Addr: addr("0.0.0.0"), Port: 22}}, Hidden: no},
			{NetNS: "2", Name: "blue", Local: prefixes("10.9.0.1/32"), Hidden: no},
		}
	}
	published := func(by string, p results.Published) func([]*Namespace) {
		return func(n []*Namespace) { p.By = by; n[0].Published = []results.Published{p} }
	}
	for name, c := range map[string]struct {
		change   func([]*Namespace)
		seen     string
		kind     results.MismatchKind // "": none
		netns    string
		severity string
		why      string
	}{
		"listens":             {nil, "10.0.0.1:22", "", "", "", ""},
		"another host":        {nil, "10.0.0.9:22", "", "", "", ""},
		"nothing":             {nil, "10.0.0.1:4444", results.SeenNotListening, "1", "critical", "can be bound"},
		"other namespace":     {nil, "10.9.0.1:22", results.SeenNotListening, "2", "critical", "no socket"},
		"dnat":                {published("dnat", results.Published{First: 8080, Last: 8080, To: addr("10.9.0.1"), ToPort: 80}), "10.0.0.1:8080", results.SeenByDNAT, "1", "info", "10.9.0.1:80"},
		"dnat, another port":  {published("dnat", results.Published{First: 8080, Last: 8080}), "10.0.0.1:8081", results.SeenNotListening, "1", "critical", ""},
		"dnat, range":         {published("dnat", results.Published{First: 8000, Last: 9000}), "10.0.0.1:9000", results.SeenByDNAT, "1", "info", "this host itself"},
		"dnat, other address": {published("dnat", results.Published{Addr: netip.MustParsePrefix("10.0.0.7/32"), First: 80, Last: 80}), "10.0.0.1:80", results.SeenNotListening, "1", "critical", ""},
		"dnat of a router":    {published("dnat", results.Published{Addr: netip.MustParsePrefix("10.0.0.7/32"), First: 80, Last: 80}), "10.0.0.7:80", results.SeenByDNAT, "1", "info", ""},
		"dnat elsewhere":      {published("dnat", results.Published{First: 80, Last: 80}), "10.9.0.1:80", results.SeenNotListening, "2", "critical", ""},
		"ipvs":                {published("ipvs", results.Published{Addr: netip.MustParsePrefix("10.0.0.1/32"), First: 80, Last: 80}), "10.0.0.1:80", results.SeenByIPVS, "1", "info", ""},
		"redirect":            {published("redirect", results.Published{First: 80, Last: 80, ToPort: 22}), "10.0.0.1:80", results.SeenByRedirect, "1", "info", "port 22 of this host itself"},
		"sk_lookup":           {func(n []*Namespace) { n[0].SKLookup = []string{"echo (id 7)"} }, "10.0.0.1:7", results.SeenBySKLookup, "1", "info", "echo (id 7)"},
		"sk_lookup elsewhere": {func(n []*Namespace) { n[1].SKLookup = []string{"echo (id 7)"} }, "10.0.0.1:7", results.SeenNotListening, "1", "critical", ""},
		"unread":              {func(n []*Namespace) { n[0].Unread = []string{"nftables"} }, "10.0.0.1:7", results.SeenNotListening, "1", "high", "nftables"},
		"hidden": {func(n []*Namespace) {
			n[0].Hidden = func(p uint16) (bool, error) { return p == 7, nil }
			n[0].Unread = []string{"ipvs"}
		}, "10.0.0.1:7",
			results.HiddenSocket, "1", "critical", "cannot be bound"},
		"not known": {func(n []*Namespace) { n[0].Hidden = func(uint16) (bool, error) { return false, errors.New("EACCES") } }, "10.0.0.1:7",
			results.SeenNotListening, "1", "critical", "EACCES"},
	} {
		t.Run(name, func(t *testing.T) {
			host := base()
			if c.change != nil {
				c.change(host)
			}
			all := Compare(host, seen(t, c.seen+" open"))
			if c.kind == "" {
				if len(all) != 0 {
					t.Errorf("%+v", all)
				}
				return
			}
			if len(all) != 1 || all[0].Kind != c.kind || all[0].NetNS != c.netns || all[0].Severity() != c.severity || !strings.Contains(all[0].Why, c.why) || all[0].ScanID != "scan" || all[0].Seen != 1 {
				t.Errorf("%+v", all)
			}
		})
	}
}

// What a published port leads to is exposed by that, also where something else listens on the port: Docker's proxy and its rule are both there.
func TestExposedElsewhere(t *testing.T) {
	web, loop, proxy := &results.Listener{Addr: addr("0.0.0.0"), Port: 80}, &results.Listener{Addr: addr("127.0.0.1"), Port: 9000}, &results.Listener{Addr: addr("0.0.0.0"), Port: 8080}
	host := []*Namespace{
		{Local: prefixes("10.0.0.1/32", "127.0.0.0/8"), Listeners: []*results.Listener{proxy, loop}, Published: []results.Published{
			{First: 8080, Last: 8080, To: addr("172.17.0.2"), ToPort: 80, By: "dnat"}, {First: 9001, Last: 9001, To: addr("127.0.0.1"), ToPort: 9000, By: "dnat"},
		}},
		{Local: prefixes("172.17.0.2/32"), Listeners: []*results.Listener{web}},
	}
	Publish(host)
	if all := Compare(host, seen(t, "10.0.0.1:8080 open")); len(all) != 0 || web.Verdict != results.VerdictExposed || proxy.Verdict != results.VerdictExposed || loop.Verdict != results.VerdictLocal {
		t.Errorf("%+v; %s, %s, %s", all, web.Verdict, proxy.Verdict, loop.Verdict)
	}
	if all := Compare(host, seen(t, "10.0.0.1:9001 open")); len(all) != 1 || web.Verdict != results.VerdictNotAsked || loop.Verdict != results.VerdictExposed {
		t.Errorf("%+v; %s, %s", all, web.Verdict, loop.Verdict)
	}
}

// Two namespaces have one address: what listens in either explains it.
func TestSharedAddress(t *testing.T) {
	host := []*Namespace{{Local: prefixes("10.0.0.1/32")}, {Local: prefixes("10.0.0.1/32"), Listeners: []*results.Listener{{Addr: addr("10.0.0.1"), Port: 80}}}}
	if all := Compare(host, seen(t, "10.0.0.1:80 open")); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// A host that takes a whole network for its own is looked at in bounded time.
func TestWholeNetwork(t *testing.T) {
	l := &results.Listener{Addr: addr("::"), Port: 80}
	host := []*Namespace{{Local: prefixes("10.0.0.0/8", "fd00::/64", "255.255.255.0/24"), Listeners: []*results.Listener{l}}}
	Compare(host, seen(t, "10.0.255.255:80 open"))
	if l.Verdict != results.VerdictExposed {
		t.Error(l.Verdict)
	}
}

// The newest scan counts, and of one scan the better state, in whichever order they come.
func TestRecords(t *testing.T) {
	p := func(reason results.Reason, at int64) *results.Port {
		return &results.Port{Addr: addr("::ffff:10.0.0.1"), Port: 80, Reason: reason, Time: at}
	}
	ep := netip.MustParseAddrPort("10.0.0.1:80")
	for name, c := range map[string]struct {
		add  func(*Records)
		want results.State
	}{
		"better within a scan": {func(r *Records) { r.Add("a", p(results.SYNACK, 1)); r.Add("a", p(results.RST, 2)) }, results.Open},
		"newer scan":           {func(r *Records) { r.Add("a", p(results.SYNACK, 1)); r.Add("b", p(results.RST, 2)) }, results.Closed},
		"newer scan first":     {func(r *Records) { r.Add("b", p(results.RST, 2)); r.Add("a", p(results.SYNACK, 1)) }, results.Closed},
	} {
		var r Records
		c.add(&r)
		if state, known := r.Seen(ep); !known || state.Best() != c.want {
			t.Errorf("%s: %v, %v", name, state, known)
		}
		n := 0
		for range r.Open() {
			n++
		}
		if (n == 1) != (c.want == results.Open) {
			t.Errorf("%s: %d open", name, n)
		}
	}
	var none Records
	if state, known := none.Seen(ep); state != 0 || known {
		t.Errorf("an empty view knows %v, %v", state, known)
	}
}

// What is published leads to the listener that gets it, also in another namespace.
func TestPublish(t *testing.T) {
	web := &results.Listener{Addr: addr("0.0.0.0"), Port: 80}
	back := &results.Listener{Addr: addr("127.0.0.1"), Port: 9000}
	front := &results.Listener{Addr: addr("10.0.0.1"), Port: 3128}
	proxied := results.Published{First: 8443, Last: 8443, To: addr("172.17.0.2"), ToPort: 80, By: "docker-proxy"}
	proxy := &results.Listener{Addr: addr("0.0.0.0"), Port: 8443, Published: []results.Published{proxied}}
	rules := []results.Published{
		{First: 8080, Last: 8080, To: addr("172.17.0.2"), ToPort: 80, By: "dnat"},
		{First: 80, Last: 81, To: addr("172.17.0.2"), By: "dnat"},
		{First: 79, Last: 79, To: addr("172.17.0.2"), By: "dnat"},
		{First: 9999, Last: 9999, To: addr("127.0.0.1"), ToPort: 9000, By: "dnat"},
		{First: 81, Last: 81, ToPort: 3128, By: "redirect"},
		{First: 82, Last: 82, ToPort: 9000, By: "redirect"},
	}
	host := []*Namespace{
		{Local: prefixes("127.0.0.0/8", "10.0.0.1/32"), Listeners: []*results.Listener{back, front, proxy}, Published: rules},
		{Local: prefixes("127.0.0.0/8", "172.17.0.2/32"), Listeners: []*results.Listener{web, {Addr: addr("127.0.0.1"), Port: 9000}}},
	}
	Publish(host)
	for _, c := range []struct {
		l    *results.Listener
		want string
	}{{web, "*:8080 *:80-81 *:8443"}, {back, "*:9999"}, {front, "*:81"}, {proxy, "*:8443"}, {host[1].Listeners[1], ""}} {
		var words []string
		for i := range c.l.Published {
			words = append(words, c.l.Published[i].As())
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%v:%d is published as %q, want %q", c.l.Addr, c.l.Port, got, c.want)
		}
	}
}
