package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"synoptic/bench/lab/bubble"
)

func TestResolveOnceAndBounded(t *testing.T) {
	// In the bubble a look-up takes a second of fake time, which passes only when every worker there is
	// has one under way: the highest count is exact.
	bubble.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked := map[string]int{}
		running, most := 0, 0
		var list []string
		for i := range 60 {
			list = append(list, fmt.Sprintf("host-%d", i%30))
		}
		c := Config{Targets: list, Exclude: []string{"host-7"}, Ports: mustPorts(t, "80")}
		c.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			mu.Lock()
			asked[host]++
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			var i byte
			if _, err := fmt.Sscanf(host, "host-%d", &i); err != nil {
				return nil, err
			}
			return []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, i})}, nil
		}
		got, err := Load(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if got.Space.Len() != 29 || got.Names.Len() != 29 || got.Excluded != 1 {
			t.Errorf("%d probes, %d names, %d excluded", got.Space.Len(), got.Names.Len(), got.Excluded)
		}
		if len(asked) != 30 {
			t.Errorf("%d names asked for", len(asked))
		}
		for host, n := range asked {
			if n != 1 {
				t.Errorf("%s was resolved %d times", host, n)
			}
		}
		if most != 8 {
			t.Errorf("%d look-ups at once, want 8", most)
		}
	})
}

func TestResolveStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := Config{Targets: []string{"a", "b", "c"}, Ports: mustPorts(t, "80")}
	c.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
		if host == "a" {
			cancel()
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if _, err := Load(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}

	cancel()
	if _, err := Load(ctx, Config{TargetFiles: []string{"-"}, Stdin: strings.NewReader(strings.Repeat("10.0.0.1\n", 5000))}); !errors.Is(err, context.Canceled) {
		t.Errorf("reading a long file: %v", err)
	}
}

// The default resolver is asked, here one whose every connection fails: nothing leaves the machine.
func TestResolveDefault(t *testing.T) {
	saved := net.DefaultResolver
	defer func() { net.DefaultResolver = saved }()
	refusal := errors.New("no network in tests")
	var dialled atomic.Bool
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		dialled.Store(true)
		return nil, refusal
	}}
	_, err := Load(t.Context(), Config{Targets: []string{"name.invalid"}, Ports: mustPorts(t, "80")})
	if err == nil || !strings.HasPrefix(err.Error(), `"name.invalid": cannot resolve: `) || !dialled.Load() {
		t.Errorf("error %v, dialled %v", err, dialled.Load())
	}
}

// Whatever is excluded never appears, and everything else does.
func TestLoadExclusionsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string, ports bool) ([]string, map[netip.AddrPort]bool) {
			var words []string
			member := map[netip.AddrPort]bool{}
			for range rapid.IntRange(1, 12).Draw(t, label) {
				base := rapid.SampledFrom([]string{"10.0.0.0", "10.0.0.128", "2001:db8::"}).Draw(t, "base")
				a := netip.MustParseAddr(base)
				for range rapid.IntRange(0, 40).Draw(t, "skip") {
					a = a.Next()
				}
				last := a
				for range rapid.IntRange(0, 6).Draw(t, "length") {
					last = last.Next()
				}
				word, port := a.String()+"-"+last.String(), uint16(0)
				if ports && rapid.IntRange(0, 3).Draw(t, "pair") == 0 {
					port = rapid.Uint16Range(79, 82).Draw(t, "port")
					if a.Is6() {
						word = "[" + word + "]"
					}
					word += fmt.Sprintf(":%d", port)
				}
				words = append(words, word)
				for x := a; x.Compare(last) <= 0; x = x.Next() {
					if port != 0 {
						member[netip.AddrPortFrom(x, port)] = true
						continue
					}
					member[netip.AddrPortFrom(x, 80)] = true
					member[netip.AddrPortFrom(x, 81)] = true
				}
			}
			return words, member
		}
		targets, want := draw("targets", true)
		excluded, out := draw("exclusions", false)
		asked, gone := map[netip.Addr]bool{}, map[netip.Addr]bool{}
		for p := range want {
			asked[p.Addr()] = true
			if out[netip.AddrPortFrom(p.Addr(), 80)] {
				gone[p.Addr()] = true
				delete(want, p)
			}
		}
		got, err := Load(context.Background(), Config{Targets: targets, Exclude: []string{strings.Join(excluded, ",")}, Ports: mustPortsRapid(t)})
		if len(want) == 0 {
			if err == nil {
				t.Fatal("every target is excluded and there is no error")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if got.Space.Len() != uint64(len(want)) || got.Excluded != uint64(len(gone)) {
			t.Fatalf("%d probes, want %d; %d excluded, want %d", got.Space.Len(), len(want), got.Excluded, len(gone))
		}
		for i := range got.Space.Len() {
			p := netip.AddrPortFrom(got.Space.At(i))
			if !want[p] {
				t.Fatalf("%v is excluded, not asked for, or twice in the space", p)
			}
			delete(want, p)
		}
	})
}

func mustPortsRapid(t *rapid.T) *Ports {
	p, err := ParsePorts("80,81")
	if err != nil {
		t.Fatal(err)
	}
	return p
}
