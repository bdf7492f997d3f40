package policy

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/results"
)

var (
	cases = flag.Int("cases", 0, "endpoints that TestBruteForce judges; 0: 10,000 with -short, else 100,000")
	seed  = flag.Uint64("seed", 0, "seed of TestBruteForce; 0: a new one")
)

// A policy of the brute-force evaluator: words as they stand in the file, and what they mean written out address by address.
type (
	spec struct {
		rules      []specRule
		exceptions []specRule
	}
	specRule struct {
		name     string
		from     []string
		to       []specRange // of addresses, as numbers of the small world
		terms    []specTerms
		severity results.Severity
		until    time.Time
	}
	specRange struct{ first, last int }
	specTerms struct {
		kind     string
		ports    []specRange
		service  []string
		unit     []string
		severity results.Severity
	}
)

// The world has 24 IPv4 and 8 IPv6 addresses, of which the last of all is one, and 12 ports at both ends and in the middle.
const world4, world6 = 24, 8

var worldPorts = []int{1, 2, 3, 22, 23, 80, 443, 8080, 8081, 65533, 65534, 65535}

func worldAddr(i int) netip.Addr {
	if i < world4 {
		return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
	}
	if i == world4+world6-1 {
		return netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i-world4))
}

// drawRanges draws disjoint ranges within [0, n).
func drawRanges(r *rand.Rand, n int) (all []specRange) {
	for at := r.IntN(n); at < n && len(all) < 3; {
		last := min(n-1, at+[]int{0, 0, 1, 3, 15, n}[r.IntN(6)])
		all = append(all, specRange{at, last})
		at = last + 1 + r.IntN(n/2)
	}
	return all
}

func drawSome(r *rand.Rand, names ...string) (some []string) {
	for _, n := range names {
		if r.IntN(3) == 0 {
			some = append(some, n)
		}
	}
	return some
}

var day = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)

func drawSpec(r *rand.Rand) (s spec) {
	to := func() []specRange {
		if r.IntN(3) == 0 {
			ranges := drawRanges(r, world6-1) // the last stands alone: what is between is not of the world
			for i := range ranges {
				ranges[i].first, ranges[i].last = ranges[i].first+world4, ranges[i].last+world4
			}
			if r.IntN(4) == 0 {
				ranges = append(ranges, specRange{world4 + world6 - 1, world4 + world6 - 1})
			}
			return ranges
		}
		return drawRanges(r, world4)
	}
	severity := func() results.Severity {
		if r.IntN(2) == 0 {
			return results.SeverityNone
		}
		return results.Severity(1 + r.IntN(5))
	}
	for i := range r.IntN(14) {
		rule := specRule{name: fmt.Sprintf("r%d", i), from: drawSome(r, "a", "b"), to: to(), severity: severity()}
		kinds := []string{"allow", "allow", "allow", "deny", "require"}
		for range 1 + r.IntN(2) {
			t := specTerms{kind: kinds[r.IntN(len(kinds))], ports: drawRanges(r, len(worldPorts)), severity: severity()}
			for i := range t.ports { // a range between two ports of the world could be of thousands, all of them required
				if t.kind == "require" && worldPorts[t.ports[i].last]-worldPorts[t.ports[i].first] > 2 {
					t.ports[i].last = t.ports[i].first
				}
			}
			if r.IntN(3) == 0 {
				t.service = drawSome(r, "ssh", "http")
			}
			if r.IntN(6) == 0 {
				t.unit = drawSome(r, "web.service", "db.service")
			}
			other := slices.ContainsFunc(rule.terms, func(o specTerms) bool {
				return o.kind == t.kind || (o.kind == "deny") != (t.kind == "deny") // which may contradict each other, and be refused
			})
			if !other {
				rule.terms = append(rule.terms, t)
			}
		}
		s.rules = append(s.rules, rule)
	}
	for range r.IntN(4) {
		s.exceptions = append(s.exceptions, specRule{
			from: drawSome(r, "a", "b"), to: to(), terms: []specTerms{{ports: drawRanges(r, len(worldPorts))}}, until: day.AddDate(0, 0, r.IntN(3)-1),
		})
	}
	return s
}

func (s spec) yaml() string {
	var b strings.Builder
	b.WriteString("version: 1\nrules:")
	if len(s.rules) == 0 {
		b.WriteString(" []")
	}
	words := func(ranges []specRange, word func(int) string, quote string) string {
		var all []string
		for _, x := range ranges {
			w := word(x.first)
			if x.first != x.last {
				w += "-" + word(x.last)
			}
			all = append(all, quote+w+quote)
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	addrs := func(ranges []specRange) string {
		return words(ranges, func(i int) string { return worldAddr(i).String() }, `"`)
	}
	ports := func(ranges []specRange) string {
		return words(ranges, func(i int) string { return fmt.Sprint(worldPorts[i]) }, "")
	}
	list := func(key string, all []string) string {
		if len(all) == 0 {
			return ""
		}
		return ", " + key + ": [" + strings.Join(all, ", ") + "]"
	}
	for _, r := range s.rules {
		fmt.Fprintf(&b, "\n  - {name: %s, to: %s%s", r.name, addrs(r.to), list("from", r.from))
		if r.severity != 0 {
			fmt.Fprintf(&b, ", severity: %v", r.severity)
		}
		for _, t := range r.terms {
			fmt.Fprintf(&b, ", %s: {ports: %s%s%s", t.kind, ports(t.ports), list("service", t.service), list("unit", t.unit))
			if t.severity != 0 {
				fmt.Fprintf(&b, ", severity: %v", t.severity)
			}
			b.WriteString("}")
		}
		b.WriteString("}")
	}
	if len(s.exceptions) > 0 {
		b.WriteString("\nexceptions:")
	}
	for _, x := range s.exceptions {
		fmt.Fprintf(&b, "\n  - {to: %s%s, ports: %s, until: %s, owner: o, ticket: t}", addrs(x.to), list("from", x.from), ports(x.terms[0].ports), x.until.Format(time.DateOnly))
	}
	return b.String() + "\n"
}

// answer is a verdict in plain words.
type answer struct {
	violation bool
	rule      string
	want      string
	severity  results.Severity
}

// holding is the width of the range that holds x; -1 if none does.
func holding(ranges []specRange, x int, number func(int) int) int {
	for _, r := range ranges {
		if r.first <= x && x <= r.last {
			return number(r.last) - number(r.first)
		}
	}
	return -1
}

// bruteForce judges by what the package's documentation says, rule by rule.
func (s spec) bruteForce(addr, port int, vantage, service, unit string, state results.State, now time.Time) answer {
	type option struct {
		r        specRule
		t        specTerms
		addrs    int
		ports    int
		sees     bool
		differs  string
		severity results.Severity
	}
	about := func(r specRule, t specTerms) (o option, ok bool) {
		o = option{r: r, t: t, addrs: holding(r.to, addr, func(i int) int { return i }), ports: holding(t.ports, port, func(i int) int { return worldPorts[i] })}
		o.sees = len(r.from) == 0 || slices.Contains(r.from, vantage)
		if service != "" && len(t.service) > 0 && !slices.Contains(t.service, service) {
			o.differs = "service"
		} else if unit != "" && len(t.unit) > 0 && !slices.Contains(t.unit, unit) {
			o.differs = "unit"
		}
		if o.severity = t.severity; o.severity == 0 {
			o.severity = r.severity
		}
		return o, o.addrs >= 0 && o.ports >= 0
	}
	grave := func(o option) results.Severity {
		if o.severity == 0 {
			return results.SeverityHigh
		}
		return o.severity
	}
	var denies, allows, elsewhere, requires []option
	for _, r := range s.rules {
		// In a rule allow comes before deny and require, however they stand there.
		slices.SortFunc(r.terms, func(a, b specTerms) int { return strings.Compare(a.kind, b.kind) })
		for _, t := range r.terms {
			o, ok := about(r, t)
			switch known := (len(t.service) == 0 || service != "") && (len(t.unit) == 0 || unit != ""); {
			case !ok:
			case t.kind == "deny":
				if o.sees && known && o.differs == "" {
					denies = append(denies, o)
				}
			case !o.sees:
				elsewhere = append(elsewhere, o)
			default:
				allows = append(allows, o)
				if t.kind == "require" {
					requires = append(requires, o)
				}
			}
		}
	}
	gravest := func(all []option) option {
		return slices.MaxFunc(all, func(a, b option) int { return int(grave(a)) - int(grave(b)) }) // the first of equals
	}
	narrowest := func(all []option) []option {
		least := slices.MinFunc(all, func(a, b option) int {
			if a.addrs != b.addrs {
				return a.addrs - b.addrs
			}
			return a.ports - b.ports
		})
		return slices.DeleteFunc(slices.Clone(all), func(o option) bool { return o.addrs != least.addrs || o.ports != least.ports })
	}
	if state != results.Open {
		if (state == results.Closed || state == results.Filtered) && len(requires) > 0 {
			o := gravest(requires)
			return answer{true, o.r.name, "open", grave(o)}
		}
		return answer{}
	}
	var verdict answer
	switch {
	case len(denies) > 0:
		o := gravest(denies)
		verdict = answer{true, o.r.name, "shut", grave(o)}
	case len(allows) > 0:
		best := narrowest(allows)
		i := slices.IndexFunc(best, func(o option) bool { return o.differs == "" })
		if i >= 0 {
			return answer{rule: best[i].r.name}
		}
		verdict = answer{true, best[0].r.name, best[0].differs, best[0].severity}
		if verdict.severity == 0 {
			verdict.severity = results.SeverityMedium
		}
	case len(elsewhere) > 0:
		o := narrowest(elsewhere)[0]
		verdict = answer{true, o.r.name, "shut", grave(o)}
	default:
		verdict = answer{true, "", "shut", results.SeverityMedium}
	}
	for _, x := range s.exceptions {
		if o, ok := about(x, x.terms[0]); ok && o.sees && now.Before(x.until.AddDate(0, 0, 1)) {
			return answer{}
		}
	}
	return verdict
}

// The look-up gives what going through all rules gives, for any policy and endpoint: I6. A failing case replays with -seed.
func TestBruteForce(t *testing.T) {
	n, from := *cases, *seed
	if n == 0 {
		if n = 100_000; testing.Short() {
			n = 10_000
		}
	}
	if from == 0 {
		from = rand.Uint64()
	}
	r := rand.New(rand.NewPCG(from, 0))
	outcomes := map[string]int{}
	for done := 0; done < n; {
		s := drawSpec(r)
		text := s.yaml()
		p, err := Load("p.yaml", strings.NewReader(text))
		if err != nil {
			t.Fatalf("-seed %d: %v\n%s", from, err, text)
		}
		for range 100 {
			done++
			a, port := r.IntN(world4+world6), r.IntN(len(worldPorts))
			e := Endpoint{Addr: worldAddr(a), Port: uint16(worldPorts[port]), Vantage: []string{"a", "b", "c", ""}[r.IntN(4)]}
			e.State = []results.State{results.Open, results.Open, results.Open, results.Closed, results.Filtered, results.Unknown, 0}[r.IntN(7)]
			e.Service = []string{"", "ssh", "http", "smtp"}[r.IntN(4)]
			e.Unit = []string{"", "", "web.service", "other.service"}[r.IntN(4)]
			now := day.Add(time.Duration(r.IntN(48)-24) * time.Hour).Add(-time.Duration(r.IntN(2)))
			want := s.bruteForce(a, port, e.Vantage, e.Service, e.Unit, e.State, now)
			v := p.Judge(&e, now)
			got := answer{violation: v.Violation, want: v.Want, severity: v.Severity}
			if v.Rule != nil {
				got.rule = v.Rule.Name
			}
			if got != want {
				t.Fatalf("-seed %d: %+v at %v\ngot  %+v\nwant %+v\n%s", from, e, now, got, want, text)
			}
			outcomes[fmt.Sprintf("%v %v %s", want.violation, want.rule != "", want.want)]++
		}
	}
	for _, need := range []string{"false false ", "false true ", "true false shut", "true true shut", "true true open", "true true service", "true true unit"} {
		if outcomes[need] < n/1000 {
			t.Errorf("%d cases of %q among %d: the property has lost its reach", outcomes[need], need, n)
		}
	}
	t.Logf("-seed %d: %d endpoints, by violation, rule and want: %v", from, n, outcomes)
}
