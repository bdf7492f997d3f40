package confirm

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
)

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// asked is one call of an Ask, and how long after the beginning.
type asked struct {
	after time.Duration
	ports []netip.AddrPort
}

// scripted answers each time as told; what is not in the script is silent.
func scripted(calls *[]asked, script ...map[string]Answer) Ask {
	begun := time.Now()
	return func(_ context.Context, ports []netip.AddrPort, _ int) (map[netip.AddrPort]Answer, error) {
		n := len(*calls)
		*calls = append(*calls, asked{time.Since(begun), slices.Clone(ports)})
		answers := map[netip.AddrPort]Answer{}
		for _, p := range ports {
			answers[p] = Answer{Reason: results.NoResponse}
			if n < len(script) {
				if a, ok := script[n][p.String()]; ok {
					answers[p] = a
				}
			}
		}
		return answers, nil
	}
}

// Each candidate is asked until it is decided, at 2 s, a minute and ten minutes.
func TestRun(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var calls []asked
		shaken, synack := Answer{results.SYNACK, true}, Answer{results.SYNACK, false}
		rst, lost := Answer{Reason: results.RST}, Answer{Reason: results.EvidenceLost}
		c := DefaultConfig()
		c.Before, c.Loss = 3, 0.02
		candidates := []Candidate{
			{at("10.0.0.1:1"), true}, {at("10.0.0.1:2"), true}, {at("10.0.0.1:3"), true}, {at("10.0.0.1:4"), true},
			{at("10.0.0.2:1"), false}, {at("10.0.0.2:2"), false}, {at("10.0.0.2:3"), false}, {at("10.0.0.2:4"), false}, {at("10.0.0.2:5"), false},
		}
		all, err := Run(t.Context(), c, candidates, scripted(&calls,
			map[string]Answer{"10.0.0.1:1": shaken, "10.0.0.1:2": synack, "10.0.0.1:4": rst, "10.0.0.2:1": rst, "10.0.0.2:2": synack, "10.0.0.2:4": lost},
			map[string]Answer{"10.0.0.1:2": shaken, "10.0.0.1:3": synack, "10.0.0.2:5": synack},
			map[string]Answer{"10.0.0.1:3": synack}))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []struct {
			verdict Verdict
			asked   int
		}{{Confirmed, 3}, {Confirmed, 6}, {Refuted, 9}, {Refuted, 3}, {Confirmed, 3}, {Refuted, 3}, {Confirmed, 9}, {Undecided, 6}, {Refuted, 6}} {
			if f := all[i]; f.Candidate != candidates[i] || f.Verdict != want.verdict || f.Asked != want.asked {
				t.Errorf("%+v, want %+v", f, want)
			}
		}
		if p := all[6].PFalse; math.Abs(p-math.Pow(0.02, 12)) > 1e-22 || all[4].PFalse != 0 {
			t.Errorf("chance %v", p)
		}
		for i, want := range []struct {
			after time.Duration
			ports int
		}{{2 * time.Second, 9}, {time.Minute, 5}, {10 * time.Minute, 3}} {
			if i >= len(calls) || calls[i].after != want.after || len(calls[i].ports) != want.ports {
				t.Errorf("asked %+v, want %+v", calls, want)
			}
		}
	})
}

// Silence is believed only where chance does not explain it.
func TestSilence(t *testing.T) {
	for _, c := range []struct {
		loss float64
		want Verdict
	}{{0, Confirmed}, {math.NaN(), Confirmed}, {0.1, Confirmed}, {Loss(0, 0.3), Confirmed}, {Loss(0.01, 0.012), Confirmed}, {Loss(0.3, 0.4), Undecided}, {0.17, Confirmed}, {0.2, Undecided}, {1, Undecided}} {
		bubble.Test(t, func(t *testing.T) {
			config := DefaultConfig()
			config.Before, config.Loss = 3, c.loss
			var calls []asked
			all, err := Run(t.Context(), config, []Candidate{{at("10.0.0.1:1"), false}}, scripted(&calls))
			if err != nil || all[0].Verdict != c.want || len(calls) != 3 {
				t.Errorf("loss %v: %+v, %v, want %v", c.loss, all, err, c.want)
			}
		})
	}
}

// Who is stopped knows nothing more; who cannot ask says so.
func TestRunIsStopped(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(30*time.Second, cancel).Stop()
		var calls []asked
		begun := time.Now()
		all, err := Run(ctx, DefaultConfig(), []Candidate{{at("10.0.0.1:1"), false}}, scripted(&calls))
		if err != nil || all[0].Verdict != Undecided || len(calls) != 1 || time.Since(begun) != 30*time.Second {
			t.Errorf("%+v, %v, asked %d times, %v", all, err, len(calls), time.Since(begun))
		}
		broken := errors.New("broken")
		_, err = Run(t.Context(), DefaultConfig(), []Candidate{{at("10.0.0.1:1"), true}}, func(context.Context, []netip.AddrPort, int) (map[netip.AddrPort]Answer, error) { return nil, broken })
		if !errors.Is(err, broken) {
			t.Error(err)
		}
		if all, err := Run(t.Context(), DefaultConfig(), nil, nil); err != nil || len(all) > 0 {
			t.Error(all, err)
		}
	})
}

// before is what was known.
type before struct {
	open    map[string]int
	changes map[string]int           // within the last day, the newest an hour ago, each an hour before
	seen    map[string]time.Duration // how long ago: 24 h where it is not said
	gone    map[string][]uint16
}

func (b *before) Gone(a netip.Addr) []uint16 { return b.gone[a.String()] }

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func (b *before) Seen(a netip.Addr) time.Time {
	if ago, ok := b.seen[a.String()]; ok {
		return noon.Add(-ago)
	}
	return noon.Add(-24 * time.Hour)
}

func (b *before) Open(a netip.Addr) int { return b.open[a.String()] }

func (b *before) Hosts(p netip.Prefix) (n int) {
	for a := range b.open {
		if p.Contains(netip.MustParseAddr(a)) {
			n++
		}
	}
	return n
}

func (b *before) Changes(p netip.AddrPort) (all []time.Time) {
	for n := b.changes[p.String()]; n > 0; n-- {
		all = append(all, noon.Add(-time.Duration(n)*time.Hour))
	}
	return all
}

// All ports of a host are one host, much of a network is one network, and what changes all the time is told of so.
func TestGroups(t *testing.T) {
	known := &before{
		open: map[string]int{
			"10.0.0.1": 2, "10.0.0.2": 3, "10.0.0.3": 1,
			"10.0.1.1": 1, "10.0.1.2": 2, "10.0.1.3": 1, "10.0.1.4": 1, "10.0.1.5": 1, "10.0.1.6": 1, "10.0.1.7": 1, "10.0.1.8": 1,
			"10.0.2.1": 1, "10.0.2.2": 1, "10.0.2.3": 1, "10.0.2.4": 1, "10.0.2.5": 1, "fd00::1": 2,
			"10.0.3.1": 2, "10.0.4.1": 1, "10.0.4.2": 1, "10.0.4.3": 1, "10.0.4.4": 1, "10.0.4.5": 1,
		},
		changes: map[string]int{"10.0.0.9:80": 4, "10.0.0.8:80": 3, "10.0.0.7:80": 5},
		gone:    map[string][]uint16{"10.0.5.1": {22, 80, 443}, "10.0.5.2": {22, 80}, "fd00::2": {22, 80}},
		seen:    map[string]time.Duration{"10.0.4.1": 80 * time.Hour, "10.0.4.2": 80 * time.Hour},
	}
	gone := func(text string) Finding {
		return Finding{Candidate: Candidate{at(text), false}, Verdict: Confirmed, Reason: results.NoResponse}
	}
	closed := func(text string) Finding { f := gone(text); f.Reason = results.RST; return f }
	opened := func(text string) Finding {
		return Finding{Candidate: Candidate{at(text), true}, Verdict: Confirmed, Reason: results.SYNACK, Shaken: true}
	}
	refuted := gone("10.0.0.1:9")
	refuted.Verdict = Refuted
	got := Groups([]Finding{
		gone("10.0.2.1:80"),                               // one of five is not more than a fifth
		gone("10.0.0.1:22"), gone("10.0.0.1:80"), refuted, // a host with two ports
		gone("10.0.0.2:22"), gone("10.0.0.2:80"), closed("10.0.0.2:443"), // a RST: it is there
		gone("10.0.0.3:22"), // its only port
		opened("10.0.0.9:80"), opened("10.0.0.8:80"), opened("10.0.0.7:80"),
		gone("10.0.3.1:22"), gone("10.0.3.1:80"), opened("10.0.3.1:8443"), // it is there
		gone("10.0.4.1:80"), gone("10.0.4.2:80"), // two of five, for more than three days
		gone("10.0.1.1:80"), gone("10.0.1.2:80"), gone("10.0.1.2:81"), opened("10.0.1.9:80"), // two of eight hosts
		gone("[fd00::1]:22"), gone("[fd00::1]:80"),
		opened("10.0.5.1:22"), opened("10.0.5.1:443"), opened("10.0.5.1:8443"), // back, with a new port
		opened("10.0.5.2:81"),  // another one at its address
		opened("[fd00::2]:22"), // back, so far, with one
	}, known, noon)
	var words []string
	for _, g := range got {
		word := g.Kind.String() + " " + g.first().String()
		if g.Quiet {
			word = "quiet " + word
		}
		switch g.Kind {
		case results.ChangeHostDown, results.ChangeHostUp:
			word = g.Kind.String() + " " + g.Addr.String()
		case results.ChangeNetDark:
			word = "net-dark " + g.Prefix.String()
		}
		if g.Stays != (g.Kind == results.ChangeNetDark) {
			t.Errorf("%+v", g)
		}
		for range g.Findings[1:] {
			word += "+"
		}
		words = append(words, word)
	}
	want := []string{
		"host-down 10.0.0.1+", " 10.0.0.2:22", " 10.0.0.2:80", " 10.0.0.2:443", " 10.0.0.3:22", "quiet flapping 10.0.0.7:80", " 10.0.0.8:80", "flapping 10.0.0.9:80",
		"net-dark 10.0.1.0/24++", " 10.0.1.9:80", " 10.0.2.1:80", " 10.0.3.1:22", " 10.0.3.1:80", " 10.0.3.1:8443", " 10.0.4.1:80", " 10.0.4.2:80",
		"host-up 10.0.5.1+", " 10.0.5.1:8443", " 10.0.5.2:81", "host-down fd00::1+", "host-up fd00::2",
	}
	if !slices.Equal(words, want) {
		t.Errorf("got  %q\nwant %q", words, want)
	}
}

// Ports went with their host where they were the last of it, several, and silent at once.
func TestGoneWith(t *testing.T) {
	early, late := noon.Add(-48*time.Hour), noon.Add(-24*time.Hour)
	for name, c := range map[string]struct {
		last []Ended
		want []uint16
	}{
		"nothing":         {nil, nil},
		"two at once":     {[]Ended{{22, late, true}, {80, late, true}}, []uint16{22, 80}},
		"one":             {[]Ended{{22, late, true}}, nil},
		"one after other": {[]Ended{{22, early, true}, {80, late, true}}, nil},
		"and one before":  {[]Ended{{22, late, true}, {23, early, false}, {80, late, true}}, []uint16{22, 80}},
		"a reset":         {[]Ended{{22, late, true}, {80, late, true}, {81, late, false}}, nil},
		"one is open":     {[]Ended{{22, late, true}, {80, late, true}, {81, time.Time{}, false}}, nil},
	} {
		if got := GoneWith(c.last); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
