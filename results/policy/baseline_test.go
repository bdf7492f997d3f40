package policy

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"synoptic/results"
)

// these makes Endpoints of a list.
func these(all []Endpoint) Endpoints {
	return func(yield func(Endpoint, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// drawNetwork draws what is open in a network: hosts of a few kinds, some by chance, some that open everything.
func drawNetwork(r *rand.Rand) (all []Endpoint) {
	vantages := []string{"dmz", "office: \"a\" #1\u009b"}[:1+r.IntN(2)]
	if r.IntN(5) == 0 {
		vantages = []string{""}
	}
	kinds := make([][]uint16, 1+r.IntN(4))
	for i := range kinds {
		for range 1 + r.IntN(5) {
			kinds[i] = append(kinds[i], uint16(worldPorts[r.IntN(len(worldPorts))]))
		}
	}
	base := []netip.Addr{netip.MustParseAddr("10.0.0.250"), netip.MustParseAddr("10.0.255.250"), netip.MustParseAddr("2001:db8::fff8"), netip.MustParseAddr("255.255.255.240")}
	for _, first := range base[:1+r.IntN(len(base))] {
		a := first
		for range r.IntN(15) {
			suspect := results.Suspect(0)
			ports := kinds[r.IntN(len(kinds))]
			if r.IntN(12) == 0 {
				suspect = results.SYNACKAll
			}
			for _, p := range ports {
				for _, v := range vantages {
					if r.IntN(8) > 0 {
						all = append(all, Endpoint{Addr: a, Port: p, State: results.Open, Vantage: v, Suspect: suspect})
					}
				}
			}
			all = append(all, Endpoint{Addr: a, Port: 7, State: results.Closed, Vantage: vantages[0]})
			if a = a.Next(); !a.IsValid() {
				break
			}
			if r.IntN(4) == 0 && a.Next().IsValid() {
				a = a.Next()
			}
		}
	}
	return all
}

// A baseline allows every endpoint that was open, by a rule, and not one besides.
func TestBaselineIsExact(t *testing.T) {
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	r := rand.New(rand.NewPCG(from, 1))
	n := 2000
	if testing.Short() {
		n = 100
	}
	rules, endpoints := 0, 0
	for range n {
		all := drawNetwork(r)
		b, err := NewBaseline(these(all))
		if err != nil {
			t.Fatalf("-seed %d: %v", from, err)
		}
		var text bytes.Buffer
		if size, err := b.WriteTo(&text); err != nil || size != int64(text.Len()) {
			t.Fatalf("-seed %d: %d bytes, %v", from, size, err)
		}
		p := mustLoad(t, text.String())
		rules, endpoints = rules+len(p.Rules), endpoints+b.Len()
		ck := NewChecker(p, day)
		if err := ck.AddAll(these(all)); err != nil {
			t.Fatal(err)
		}
		rep := ck.Report()
		if len(rep.Violations) != 0 || rep.Allowed != rep.Open {
			t.Fatalf("-seed %d: %s\n%s", from, reported(rep), text.String())
		}
		if found := p.Lint(day, ck); len(found) > 0 {
			t.Fatalf("-seed %d: %+v\n%s", from, found, text.String())
		}
		notMore(t, from, p, all, text.String())
	}
	t.Logf("-seed %d: %d endpoints in %d rules", from, endpoints, rules)
}

// notMore holds every endpoint near those that were open against the policy.
func notMore(t *testing.T, from uint64, p *Policy, all []Endpoint, text string) {
	t.Helper()
	open, vantages, addrs := map[place]bool{}, map[string]bool{}, map[netip.Addr]bool{}
	for _, e := range all {
		vantages[e.Vantage] = true
		if e.State == results.Open {
			open[place{netip.AddrPortFrom(e.Addr, e.Port), e.Vantage}] = true
			for _, a := range []netip.Addr{e.Addr.Prev(), e.Addr, e.Addr.Next()} {
				addrs[a] = a.IsValid()
			}
		}
	}
	for a, valid := range addrs {
		for _, near := range worldPorts {
			for _, port := range []uint16{uint16(near - 1), uint16(near), uint16(near + 1)} {
				for v := range vantages {
					e := Endpoint{Addr: a, Port: port, State: results.Open, Vantage: v}
					want := open[place{netip.AddrPortFrom(a, port), v}]
					if !valid || port == 0 {
						continue
					}
					if verdict := p.Judge(&e, day); verdict.Violation == want {
						t.Fatalf("-seed %d: %v:%d from %q: open %v, %+v\n%s", from, a, port, v, want, verdict, text)
					}
				}
			}
		}
	}
}

// Rules are grouped as people would: many hosts with the same ports are one rule, whole prefixes are written as such.
func TestBaselineGroups(t *testing.T) {
	var all []Endpoint
	add := func(addr string, hosts int, ports ...uint16) {
		a := netip.MustParseAddr(addr)
		for range hosts {
			for _, p := range ports {
				all = append(all, Endpoint{Addr: a, Port: p, State: results.Open, Vantage: "dmz"})
			}
			a = a.Next()
		}
	}
	add("10.30.1.0", 256, 80, 443)
	add("10.30.2.0", 128, 80, 443)
	add("10.30.9.1", 3, 22)
	add("10.30.9.1", 1, 8000, 8001, 8002)
	add("10.30.9.2", 1, 8000)
	add("10.30.9.4", 1, 8000)                                                                                       // four kinds of hosts, three kinds of ports
	all = append(all, Endpoint{Addr: netip.MustParseAddr("10.31.0.5"), Vantage: "dmz", Suspect: results.SYNACKAll}) // of a host record
	add("10.31.0.5", 1, 22)
	add("10.31.1.5", 2, 443, 8443) // two kinds of hosts, three kinds of ports
	add("10.31.1.7", 2, 443, 9443)
	add("2001:db8::10", 16, 443)
	b, err := NewBaseline(these(all))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if _, err := b.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	const want = `version: 1
vantage: "dmz"
rules:
  - name: "10.30.9.0/30 tcp 22"
    to: 10.30.9.1-10.30.9.3
    allow:
      ports: 22
  - name: "10.30.0.0/22 tcp 80 443"
    to: 10.30.1.0-10.30.2.127
    allow:
      ports: [80, 443]
  - name: "10.30.9.0/29 tcp 8000"
    to: [10.30.9.1-10.30.9.2, 10.30.9.4]
    allow:
      ports: 8000
  - name: "10.30.9.1 tcp 8001-8002"
    to: 10.30.9.1
    allow:
      ports: 8001-8002
  # It opens everything, as SYN proxies and tarpits do: have a look at it.
  - name: "suspect 10.31.0.5"
    to: 10.31.0.5
    allow:
      ports: 22
  - name: "10.31.1.4/30 tcp 443 8443"
    to: 10.31.1.5-10.31.1.6
    allow:
      ports: [443, 8443]
  - name: "10.31.1.0/28 tcp 443 9443"
    to: 10.31.1.7-10.31.1.8
    allow:
      ports: [443, 9443]
  - name: "2001:db8::10/124 tcp 443"
    to: "2001:db8::10/124"
    allow:
      ports: 443
`
	if text.String() != want || b.Suspects() != 1 {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
}

// Rules whose names begin alike for longer than there is room have different ones.
func TestBaselineNames(t *testing.T) {
	var all []Endpoint
	for _, host := range []byte{1, 2, 5, 6} {
		for i := range 60 {
			port := uint16(1000 + 2*i + i/59*int(host&3)) // the last differs
			all = append(all, Endpoint{Addr: netip.AddrFrom4([4]byte{10, 0, 0, host}), Port: port, State: results.Open})
		}
	}
	b, err := NewBaseline(these(all))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if _, err := b.WriteTo(&text); err != nil || strings.Contains(text.String(), "vantage") {
		t.Fatal(err, text.String())
	}
	if p := mustLoad(t, text.String()); len(p.Rules) != 2 || p.Rules[1].Name != p.Rules[0].Name+" (2)" {
		t.Errorf("%s", text.String())
	}
}

// What nothing can be said of is an error, and nothing open is a policy of its own.
func TestBaselineOfLittle(t *testing.T) {
	some := Endpoint{Addr: worldAddr(1), Port: 1, State: results.Open, Vantage: "a"}
	other := some
	other.Vantage = ""
	if _, err := NewBaseline(these([]Endpoint{some, other})); !errors.Is(err, ErrNoVantage) {
		t.Errorf("two vantage points, one without a name: %v", err)
	}
	broken := errors.New("broken")
	if _, err := NewBaseline(func(yield func(Endpoint, error) bool) { yield(Endpoint{}, broken) }); !errors.Is(err, broken) {
		t.Errorf("an input that breaks off: %v", err)
	}
	shut := some
	shut.Vantage, shut.State = "b", results.Closed
	b, err := NewBaseline(these([]Endpoint{some, shut}))
	if err != nil {
		t.Fatal(err)
	}
	var two strings.Builder
	if _, err := b.WriteTo(&two); err != nil || !strings.Contains(two.String(), `from: "a"`) {
		t.Errorf("another vantage point sees it shut: %v\n%s", err, two.String())
	}
	b, err = NewBaseline(these(nil))
	var text strings.Builder
	if err == nil {
		_, err = b.WriteTo(&text)
	}
	if err != nil || text.String() != "version: 1\nrules: []\n" {
		t.Errorf("%q, %v", text.String(), err)
	}
	if _, err := b.WriteTo(full{}); err == nil {
		t.Error("a disk that is full")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// FuzzLoad: no file makes the reader or what comes after it fail but by an error of one line, and what it takes it judges.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("version: 1\nsets: {a: [1, 2-3], b: any}\nrules:\n- {name: \"\\e[31m\", to: b, from: x, deny: {ports: a, exe: '*'}}\n"))
	f.Add([]byte("version: 1\nrules: &a [*a]\n"))
	f.Add([]byte("*" + strings.Repeat("x", 2000)))
	f.Add([]byte("? [a, b]\n: - - {c: !!binary x}\n"))
	f.Add([]byte("version: 1\nrules:\n- {name: a, to: [\"::/0\", 0.0.0.0/0], require: {ports: 1}}\n"))
	f.Add([]byte("version: 1\nrules:\n- {name: a, to: 255.255.255.255, require: {ports: 65535}}\nexceptions: [{to: \"ffff::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\", ports: any, until: 2200-12-31, owner: o, ticket: t}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Load("p.yaml", bytes.NewReader(data))
		if err != nil {
			if bad, ok := errors.AsType[*Error](err); !ok || bad.Hint() == "" || len(err.Error()) > 1000 {
				t.Fatalf("%#v", err)
			}
			return
		}
		ck := NewChecker(p, day)
		for i := range p.clauses {
			c := &p.clauses[i]
			for _, r := range c.to {
				for _, e := range []Endpoint{{Addr: r.First, Port: c.ports[0].First, State: results.Open}, {Addr: r.Last, Port: c.ports[len(c.ports)-1].Last, State: results.Closed}} {
					if len(c.from) > 0 {
						e.Vantage = c.from[0]
					}
					if v, x := p.Judge(&e, day), p.Explain(&e, day); v.Violation == x.Allowed || x.Message == "" || c.kind != kindExcept && x.Decides == nil && len(x.Others) == 0 {
						t.Fatalf("%+v\n%+v", v, x)
					}
					ck.Add(&e)
				}
			}
		}
		for _, v := range ck.Report().Violations {
			if line, _ := v.AppendJSON(nil); len(line) > 4096 {
				t.Fatal(len(line))
			}
		}
		for _, found := range p.Lint(day, ck) {
			if found.Message == "" || found.Line < 1 {
				t.Fatal(fmt.Sprint(found))
			}
		}
	})
}
