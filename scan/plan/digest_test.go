package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go4.org/netipx"
	"pgregory.net/rapid"

	"synoptic/scan/permute"
	"synoptic/scan/spec"
	"synoptic/scan/target"
)

func sum(text string) string {
	d := sha256.Sum256([]byte(text))
	return hex.EncodeToString(d[:])
}

// The text that is hashed, as it is documented. Whoever changes these digests gives them another version.
func TestDigests(t *testing.T) {
	all := targets(t, "8000-8100,80,443", "10.0.0.0/24", "10.0.2.7:22", "[fd00::1]:22", "10.0.2.8:9", "fd00::/127", "10.0.2.7:80", "-10.0.0.64/26", "-192.0.2.1")
	d := digestsOf(all.Space, all)
	for _, c := range []struct{ got, want string }{
		{d.targets, "10.0.0.0-10.0.0.63\n10.0.0.128-10.0.0.255\n10.0.2.7-10.0.2.8\nfd00::-fd00::1\n"},
		{d.ports, "9-9\n22-22\n80-80\n443-443\n8000-8100\n"},
		{d.plan, "synoptic plan 1\npermutation 1\ntargets\n10.0.0.0-10.0.0.63\n10.0.0.128-10.0.0.255\nfd00::-fd00::1\nports\n80-80\n443-443\n8000-8100\n" +
			"pairs 9\n10.0.2.8-10.0.2.8\npairs 22\n10.0.2.7-10.0.2.7\nfd00::1-fd00::1\npairs 80\n10.0.2.7-10.0.2.7\n" +
			"exclusions\n10.0.0.64-10.0.0.127\n192.0.2.1-192.0.2.1\n"},
	} {
		if c.got != sum(c.want) {
			t.Errorf("%s, want %s of\n%s", c.got, sum(c.want), c.want)
		}
	}
	pairs := targets(t, "", "10.0.2.7:22")
	if got, want := digestsOf(pairs.Space, pairs).plan, sum("synoptic plan 1\npermutation 1\ntargets\nports\npairs 22\n10.0.2.7-10.0.2.7\nexclusions\n"); got != want {
		t.Errorf("of a pair alone: %s, want %s", got, want)
	}
}

// asking is a set of targets as one may ask for them: words in some order and notation.
type asking struct {
	targets, pairs, exclude map[netip.Addr][]uint16 // pairs with their ports; the others' lists are empty
	ports                   []uint16
}

// pool are addresses that a test draws from: few, so that ranges touch.
func pool() (all []netip.Addr) {
	for _, first := range []string{"10.0.0.250", "fd00::fffa"} {
		a := netip.MustParseAddr(first)
		for range 12 {
			all = append(all, a)
			a = a.Next()
		}
	}
	return all
}

func drawAsking(t *rapid.T) *asking {
	subset := func(label string) map[netip.Addr][]uint16 {
		m := map[netip.Addr][]uint16{}
		for _, a := range pool() {
			if rapid.IntRange(0, 2).Draw(t, label) == 0 {
				m[a] = nil
			}
		}
		return m
	}
	x := &asking{targets: subset("target"), pairs: subset("pair"), exclude: subset("excluded")}
	port := rapid.Uint16Range(1, 12)
	for _, a := range pool() {
		if _, ok := x.pairs[a]; ok {
			x.pairs[a] = rapid.SliceOfNDistinct(port, 1, 3, rapid.ID).Draw(t, "ports of a pair")
		}
	}
	x.ports = rapid.SliceOfNDistinct(port, 1, 8, rapid.ID).Draw(t, "ports")
	return x
}

// words writes addresses in an order and a notation that r chooses.
func words(addrs map[netip.Addr][]uint16, r *rand.Rand) (all []string) {
	var b netipx.IPSetBuilder
	for a := range addrs {
		b.Add(a)
	}
	set, _ := b.IPSet() // nothing invalid was added
	for _, x := range set.Ranges() {
		switch r.IntN(3) {
		case 0:
			all = append(all, x.String())
		case 1:
			for _, p := range x.Prefixes() {
				all = append(all, p.String())
			}
		default:
			for a := x.From(); a.Compare(x.To()) <= 0; a = a.Next() {
				all = append(all, a.String(), a.String())
			}
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// load writes x in one of many ways, and reads it.
func (x *asking) load(t *rapid.T, r *rand.Rand) *target.Targets {
	c := target.Config{Targets: words(x.targets, r), Exclude: words(x.exclude, r)}
	for a, ports := range x.pairs {
		for _, p := range ports {
			c.Targets = append(c.Targets, netip.AddrPortFrom(a, p).String())
		}
	}
	r.Shuffle(len(c.Targets), func(i, j int) { c.Targets[i], c.Targets[j] = c.Targets[j], c.Targets[i] })
	var spec []string
	for _, i := range r.Perm(len(x.ports)) {
		spec = append(spec, fmt.Sprint(x.ports[i]), fmt.Sprintf("%d-%[1]d", x.ports[i]))
	}
	var err error
	if c.Ports, err = target.ParsePorts(strings.Join(spec, ",")); err != nil {
		t.Fatal(err)
	}
	all, err := target.Load(t.Context(), c)
	if err != nil {
		return nil // nothing is left
	}
	return all
}

// text is what the digests are of, made plainly.
func (x *asking) text() (targets, ports, plan string) {
	lines := func(has func(netip.Addr) bool) (s string) {
		var first, last netip.Addr
		for _, a := range append(pool(), netip.Addr{}) {
			in := a.IsValid() && has(a)
			switch {
			case in && first.IsValid() && last.Next() == a:
				last = a
				continue
			case first.IsValid():
				s += fmt.Sprintf("%v-%v\n", first, last)
				first = netip.Addr{}
			}
			if in {
				first, last = a, a
			}
		}
		return s
	}
	runs := func(has func(port int) bool) (s string) {
		for p := 1; p < 20; p++ {
			if first := p; has(p) {
				for has(p + 1) {
					p++
				}
				s += fmt.Sprintf("%d-%d\n", first, p)
			}
		}
		return s
	}
	in := func(m map[netip.Addr][]uint16, a netip.Addr) bool { _, ok := m[a]; return ok }
	product := func(a netip.Addr) bool { return in(x.targets, a) && !in(x.exclude, a) }
	pair := func(a netip.Addr, port int) bool {
		return slices.Contains(x.pairs[a], uint16(port)) && !in(x.exclude, a) && (!product(a) || !slices.Contains(x.ports, uint16(port)))
	}
	anyPair := func(port int) bool {
		return slices.ContainsFunc(pool(), func(a netip.Addr) bool { return pair(a, port) })
	}
	productPort := func(port int) bool {
		return slices.ContainsFunc(pool(), product) && slices.Contains(x.ports, uint16(port))
	}
	plan = "synoptic plan 1\npermutation 1\ntargets\n" + lines(product) + "ports\n" + runs(productPort)
	for port := 1; port < 20; port++ {
		if anyPair(port) {
			plan += fmt.Sprintf("pairs %d\n", port) + lines(func(a netip.Addr) bool { return pair(a, port) })
		}
	}
	plan += "exclusions\n" + lines(func(a netip.Addr) bool { return in(x.exclude, a) })
	targets = lines(func(a netip.Addr) bool {
		return product(a) || slices.ContainsFunc(x.pairs[a], func(p uint16) bool { return pair(a, int(p)) })
	})
	return targets, runs(func(p int) bool { return productPort(p) || anyPair(p) }), plan
}

// However targets, ports and exclusions are written, the digests are those of one text.
func TestDigestsAreCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := drawAsking(t)
		for range 2 {
			all := x.load(t, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "notation"), 0)))
			if all == nil {
				t.Skip("nothing is left")
			}
			targets, ports, plan := x.text()
			if got, want := digestsOf(all.Space, all), (digests{sum(plan), sum(targets), sum(ports)}); got != want {
				t.Fatalf("%+v, want %+v of\n%s\n%s\n%s", got, want, targets, ports, plan)
			}
			checkRead(t, all.Space, plan, rapid.Uint64().Draw(t, "seed"))
		}
	})
}

// checkRead checks that the text gives the order of sending back.
func checkRead(t *rapid.T, space *target.Space, text string, seed uint64) {
	read, err := spec.Read([]byte(text), seed)
	if err != nil {
		t.Fatalf("%v of\n%s", err, text)
	}
	order, err := permute.New(space.Len(), seed)
	if err != nil || read.Len() != space.Len() {
		t.Fatalf("%v; %d probes, want %d", err, read.Len(), space.Len())
	}
	for i := range space.Len() {
		addr, port := space.At(i)
		position, ok := read.Position(addr, port)
		if a, p := read.At(position); !ok || position != order.Position(i) || a != addr || p != port {
			t.Fatalf("%v:%d is at %d (%v), which is %v:%d; want it at %d", addr, port, position, ok, a, p, order.Position(i))
		}
	}
	if _, ok := read.Position(netip.MustParseAddr("192.0.2.9"), 80); ok {
		t.Fatal("what is not probed has a position")
	}
}

// One word more or less: the digest stays only where every index still means the same probe, and the same is excluded.
func TestDigestTellsOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := drawAsking(t)
		before := x.load(t, rand.New(rand.NewPCG(1, 2)))
		a := rapid.SampledFrom(pool()).Draw(t, "address")
		toggle := func(m map[netip.Addr][]uint16, ports ...uint16) {
			if _, ok := m[a]; ok {
				delete(m, a)
			} else {
				m[a] = ports
			}
		}
		excluded := false
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			toggle(x.targets)
		case 1:
			toggle(x.pairs, 5)
		case 2:
			toggle(x.exclude)
			excluded = true
		default:
			x.ports = append(x.ports, 12)
		}
		after := x.load(t, rand.New(rand.NewPCG(1, 2)))
		if before == nil || after == nil {
			t.Skip("nothing is left")
		}
		same := before.Space.Len() == after.Space.Len() && !excluded
		for i := uint64(0); same && i < before.Space.Len(); i++ {
			a, p := before.Space.At(i)
			b, q := after.Space.At(i)
			same = a == b && p == q
		}
		if was, is := digestsOf(before.Space, before), digestsOf(after.Space, after); was.plan == is.plan && !same {
			t.Fatalf("%s is the digest of two orders", is.plan)
		}
	})
}

// The digest knows nothing of seed, shard, pace, backend or policy, nor of the host.
func TestDigestIsOfTheTargetsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := drawAsking(t)
		all := x.load(t, rand.New(rand.NewPCG(1, 2)))
		if all == nil || all.Space.Len() < 3 { // with one of each family, the second shard has none
			t.Skip("too little is left")
		}
		_, _, plan := x.text()
		c := Config{
			Targets: all, Host: &fakeHost{}, Seed: rapid.Uint64Range(0, maxSeed).Draw(t, "seed"), HasSeed: true, ShardOf: 2,
			ShardI: rapid.IntRange(1, 2).Draw(t, "shard"), Rate: rapid.Float64Range(1, 1e7).Draw(t, "rate"),
			Backend: rapid.SampledFrom([]string{BackendAuto, BackendConnect}).Draw(t, "backend"), Attempts: rapid.IntRange(1, 10).Draw(t, "attempts"),
		}
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if p.Digest() != sum(plan) {
			t.Fatalf("%s, want %s", p.Digest(), sum(plan))
		}
	})
}

// Memory does not grow with the number of ranges.
func TestDigestAllocations(t *testing.T) {
	var allocations [2]float64
	for i, n := range []uint64{100, 20_000} {
		var b target.SetBuilder
		for k := range n {
			a := netip.AddrFrom4([4]byte{10, byte(k >> 15), byte(k >> 7), byte(k << 1)})
			b.AddAddr(a)
		}
		set, err := b.Set()
		if err != nil || set.NumRanges() != int(n) {
			t.Fatal(set.NumRanges(), err)
		}
		space, all := spaceOf(t, set, "80"), &target.Targets{}
		allocations[i] = testing.AllocsPerRun(3, func() { digestsOf(space, all) })
	}
	if allocations[0] != allocations[1] {
		t.Errorf("%v allocations for 100 ranges, %v for 20,000", allocations[0], allocations[1])
	}
}
