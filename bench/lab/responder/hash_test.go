package responder

import (
	"math"
	"net/netip"
	"strings"
	"testing"
)

// within checks a count against a share of a number of draws, to six standard deviations.
func within(t *testing.T, name string, got, of uint64, share float64) {
	t.Helper()
	want, sigma := float64(of)*share, math.Sqrt(float64(of)*share*(1-share))
	if math.Abs(float64(got)-want) > 6*sigma+1 {
		t.Errorf("%s: %d of %d, want %.0f ± %.0f", name, got, of, want, 6*sigma)
	}
}

// The shares hold in every view of the space that a scan may take: neighbouring addresses on one port,
// all ports of one address, addresses that are alike in their low bits.
func TestSharesAreUniform(t *testing.T) {
	const n = 1 << 16
	views := map[string]func(i uint32) (addr uint32, port uint16){
		"/16":             func(i uint32) (uint32, uint16) { return 0x0a800000 + i, 443 },
		"all ports":       func(i uint32) (uint32, uint16) { return 0x0a800001, uint16(i) },
		"*.*.0.1":         func(i uint32) (uint32, uint16) { return i<<16 | 1, 80 },
		"/20 x 16":        func(i uint32) (uint32, uint16) { return 0x0a800000 + i>>4, uint16(i&15) + 1 },
		"address is port": func(i uint32) (uint32, uint16) { return i, uint16(i) },
	}
	for name, at := range views {
		for seed := range uint64(8) {
			c := Config{Seed: seed, Open: 0.05, Closed: 0.3}
			var seen [3]uint64
			for i := range uint32(n) {
				addr, port := at(i)
				seen[stateAt(c, addr, port)]++
			}
			within(t, name+", open", seen[Open], n, c.Open)
			within(t, name+", closed", seen[Closed], n, c.Closed)
		}
	}
}

func stateAt(c Config, addr uint32, port uint16) State {
	return c.State(netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}), port)
}

// Different seeds give independent networks: what is open in one says nothing about another.
func TestSeedsAreIndependent(t *testing.T) {
	const n = 1 << 16
	for _, other := range []uint64{1, 2, 1 << 16, 1 << 47, 1 << 63, math.MaxUint64} {
		a, b := Config{Open: 0.5}, Config{Seed: other, Open: 0.5}
		// b's network may not be a's with addresses or ports exchanged either.
		for _, shift := range []uint32{0, 1, 1 << 8} {
			var same uint64
			for i := range uint32(n) {
				if stateAt(a, 0x0a800000+i, 443) == stateAt(b, 0x0a800000+(i^shift), 443) {
					same++
				}
			}
			within(t, "alike", same, n, 0.5)
		}
	}
}

func TestHosts(t *testing.T) {
	const hosts, ports = 4096, 64
	c := Config{Seed: 3, Open: 0.1, Closed: 0.4, Alive: 0.6, AnswerAll: 0.05}
	var silent, everything uint64
	var answered, ordinary uint64
	for h := range uint32(hosts) {
		var seen [3]uint64
		for p := range uint16(ports) {
			seen[stateAt(c, 0x0a800000+h, p)]++
		}
		switch {
		case seen[Silent] == ports:
			silent++
		case seen[Open] == ports:
			everything++
		default:
			ordinary++
			answered += seen[Open] + seen[Closed]
		}
	}
	within(t, "dead hosts", silent, hosts, 0.4)
	within(t, "hosts open everywhere", everything, hosts-silent, 0.05)
	within(t, "ports answered by others", answered, ordinary*ports, 0.5)
}

func TestExtremeShares(t *testing.T) {
	for want, c := range map[State]Config{
		Silent: {Seed: 9},
		Closed: {Seed: 9, Closed: 1},
		Open:   {Seed: 9, Open: 1, Closed: 0, Alive: 1},
	} {
		for i := range uint32(1 << 16) {
			if got := stateAt(c, i*65537, uint16(i)); got != want {
				t.Fatalf("%+v: %v, want every port %v", c, got, want)
			}
		}
	}
	// 0.7 + 0.3 need not be 1 in floating point: no port may be silent.
	c := Config{Seed: 9, Open: 0.7, Closed: 0.3}
	if got := c.Truth().answered; got != all {
		t.Errorf("threshold %d, want %d", got, uint64(all))
	}
}

func TestNotSimulatedIsSilent(t *testing.T) {
	c := Config{Open: 1, LocalNet: netip.MustParsePrefix("10.76.0.0/24")}
	for text, want := range map[string]State{
		"10.76.0.2": Silent, "10.76.1.2": Open, "::ffff:10.76.1.2": Open, "2001:db8::1": Silent,
	} {
		if got := c.State(netip.MustParseAddr(text), 80); got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
	if got := c.State(netip.Addr{}, 80); got != Silent {
		t.Errorf("the zero address is %v", got)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []Config{{}, {Open: 1}, {Open: 0.7, Closed: 0.3}, {Open: 0.1, Closed: 0.2, Alive: 0.5, AnswerAll: 1, LossIn: 1, LossOut: 1, Duplicates: 1}} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for want, c := range map[string]Config{
		"share open is -0.1":           {Open: -0.1},
		"share closed is NaN":          {Closed: math.NaN()},
		"share loss in is 2":           {LossIn: 2},
		"share loss out is +Inf":       {LossOut: math.Inf(1)},
		"share duplicates is 1.5":      {Duplicates: 1.5},
		"share alive is -1":            {Alive: -1},
		"share answer-all is 3":        {AnswerAll: 3},
		"1.2 together":                 {Open: 0.8, Closed: 0.4},
		"resets per second":            {ResetsPerHost: math.MaxUint32},
		"local network 2001:db8::/32:": {LocalNet: netip.MustParsePrefix("2001:db8::/32")},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q in it", c, err, want)
		}
	}
}

func TestStateAllocatesNothing(t *testing.T) {
	c := Config{Seed: 1, Open: 0.1, Closed: 0.5, Alive: 0.9}
	addr := netip.MustParseAddr("10.128.0.1")
	if n := testing.AllocsPerRun(100, func() { c.State(addr, 80) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkState(b *testing.B) {
	c := Config{Seed: 1, Open: 0.1, Closed: 0.5, LocalNet: netip.MustParsePrefix("10.76.0.0/24")}.Truth()
	addr := netip.MustParseAddr("10.128.0.0")
	b.ReportAllocs()
	var open int
	for b.Loop() {
		addr = addr.Next()
		if c.State(addr, 443) == Open {
			open++
		}
	}
	_ = open
}
