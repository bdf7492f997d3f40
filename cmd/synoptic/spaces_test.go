package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// Odd sets of targets: lists of ports, thousands of ranges, exclusions in them, and single ports of single
// addresses. What is probed is the set, each once and nothing else, and every answer finds its probe.
func TestSpaces(t *testing.T) { eachBackendBeside(t, spaces, ebpf) }

func spaces(t *testing.T, b backend) {
	n := b.beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	n.Listen(t, "0.0.0.0:7")
	rng := rand.New(rand.NewPCG(7, 8))
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)}) }
	for _, c := range []struct {
		name string
		// make gives the arguments and adds what they mean to the set.
		make func(t *testing.T, set map[endpoint]bool) []string
	}{
		{"one probe", func(_ *testing.T, set map[endpoint]bool) []string {
			set[netip.MustParseAddrPort("10.77.3.4:80")] = true
			return []string{"10.77.3.4", "-p", "80"}
		}},
		{"list of ports", func(_ *testing.T, set map[endpoint]bool) []string {
			var list []string
			for len(list) < 700 {
				port := uint16(rng.IntN(65535) + 1)
				for i := 100; i < 104 && !set[netip.AddrPortFrom(address(i), port)]; i++ {
					set[netip.AddrPortFrom(address(i), port)] = true
				}
				list = append(list, fmt.Sprint(port))
			}
			return []string{"10.77.0.100/30", "-p", strings.Join(list, ",")}
		}},
		{"exclusions", func(t *testing.T, set map[endpoint]bool) []string {
			var not []string
			for i := 0; i < 4096; {
				in, out := 1+rng.IntN(6), 1+rng.IntN(3)
				for j := i; j < min(i+in, 4096); j++ {
					set[netip.AddrPortFrom(address(j), 80)], set[netip.AddrPortFrom(address(j), 81)] = true, true
				}
				if i += in; i < 4096 {
					not = append(not, fmt.Sprintf("%s-%s", address(i), address(min(i+out, 4096)-1)))
				}
				i += out
			}
			file := filepath.Join(t.TempDir(), "never.txt")
			if err := os.WriteFile(file, []byte(strings.Join(not, "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{"10.77.0.0/20", "--exclude-file", file, "-p", "80,81"}
		}},
		{"single ports", func(t *testing.T, set map[endpoint]bool) []string {
			// Besides a product, which some of them are in already.
			var lines []string
			for range 3000 {
				e := netip.AddrPortFrom(address(rng.IntN(1<<16)), []uint16{7, 80, 81, 443, uint16(1000 + rng.IntN(50))}[rng.IntN(5)])
				set[e] = true
				lines = append(lines, e.String())
			}
			for i := range 256 {
				for _, port := range []uint16{7, 80, 999} {
					set[netip.AddrPortFrom(address(i), port)] = true
				}
			}
			file := filepath.Join(t.TempDir(), "targets.txt")
			if err := os.WriteFile(file, []byte("10.77.0.0/24\n"+strings.Join(lines, "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{"-i", file, "-p", "7,80,999"}
		}},
	} {
		testnet.Run(t, c.name, func(t *testing.T) {
			want := map[endpoint]bool{}
			args := c.make(t, want)
			open, closed := map[endpoint]bool{}, map[endpoint]bool{}
			for e := range want {
				if e.Port() == 80 || e.Port() == 7 {
					open[e] = true
				} else {
					closed[e] = true
				}
			}
			stall.Judge(t, keepsUp, func() error {
				capture := n.Capture(t)
				o := synoptic(t, b.scan(20_000, append(args, "--retries", "0", "--show", "all")...)...)
				frames := capture.Stop()
				if o.code != 0 {
					t.Fatalf("exit %d: %s", o.code, o.stderr)
				}
				s := parseStream(t, o.stdout)
				b.used(t, s)
				probed := map[endpoint]bool{}
				for _, f := range frames {
					if e, ok := checkProbe(t, f); ok {
						if probed[e] || !want[e] {
							t.Fatalf("%s was probed: in the set %v, before %v", e, want[e], probed[e])
						}
						probed[e] = true
					}
				}
				if n := uint64(len(want)); s.end.Probes != n || s.end.Sent != n || s.end.Invalid != 0 {
					t.Errorf("%d positions, scan_end %+v", n, s.end)
				}
				if s.end.RxDrops != 0 {
					return fmt.Errorf("%d replies were dropped", s.end.RxDrops)
				}
				// But for what the link drops.
				return errors.Join(difference("probed", probed, want),
					difference("open", s.found(t, "open"), open), difference("closed", s.found(t, "closed"), closed))
			})
		})
	}
}

// Retries by the measured loss find what was asked for.
func TestTargetRecall(t *testing.T) { eachBackendBeside(t, targetRecall, ebpf) }

func targetRecall(t *testing.T, b backend) {
	prefix := netip.MustParsePrefix("10.77.0.0/20")
	n := b.beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	n.Loss(10, testnet.Both)
	// What the machine loses comes on top of the tenth.
	stall.Judge(t, stall.Bound{Gap: 100 * time.Millisecond}, func() error {
		o := synoptic(t, b.scan(20_000, prefix.String(), "-p", "80,81", "--target-recall", "0.99", "--retry-gap", "300ms")...)
		if o.code != 0 {
			t.Fatalf("exit %d: %s", o.code, o.stderr)
		}
		s := parseStream(t, o.stdout)
		b.used(t, s)
		t.Logf("loss %+v, %d found, missed %+v, %d again", s.end.Loss, s.end.Open, s.end.Missed, s.end.Retransmitted)
		// One attempt finds 81 %. Of 4096, 41 may be missed, and by chance (three standard deviations) some more.
		if found := len(s.found(t, "open")); found < 4096-41-20 || s.end.Retransmitted == 0 {
			return fmt.Errorf("%d of 4096 found, scan_end %+v", found, s.end)
		}
		if l := s.end.Loss; l == nil || l.Low > 0.22 || l.High < 0.16 {
			return fmt.Errorf("loss %+v, and 19 %% of the probes went unanswered", l)
		}
		return nil
	})
}
