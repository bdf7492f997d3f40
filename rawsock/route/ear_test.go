package route

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/layers"
	"golang.org/x/net/bpf"

	"synoptic/bench/lab/bubble"
)

var (
	hopAddr = netip.MustParseAddr("10.76.0.2")
	hopIP   = uint32(0x0a4c0002)
	oldMAC  = [6]byte{2, 0, 0, 0, 0, 0x22}
	newMAC  = [6]byte{2, 0, 0, 0, 0, 0x42}
)

// announcement is a gratuitous ARP: a request or a reply (RFC 5227 §3).
func announcement(t testing.TB, op uint16, sender uint32, mac [6]byte) []byte {
	a := reply(sender, mac)
	a.Operation, a.DstHwAddress = op, make([]byte, 6)
	a.DstProtAddress = binary.BigEndian.AppendUint32(nil, sender)
	return frame(t, layers.Ethernet{SrcMAC: mac[:], DstMAC: net.HardwareAddr{255, 255, 255, 255, 255, 255}, EthernetType: layers.EthernetTypeARP}, a)
}

func answer(t testing.TB, sender uint32, mac [6]byte) []byte {
	return frame(t, layers.Ethernet{SrcMAC: mac[:], DstMAC: ourMAC[:], EthernetType: layers.EthernetTypeARP}, reply(sender, mac))
}

// who answers the next request, how long after it.
type who struct {
	after time.Duration
	mac   [6]byte
}

// ear is an Ear without a socket, in a bubble of time. Each request has the next element of script for an
// answer, and the last one has all that follow.
func ear(t *testing.T, script ...[]who) (e *Ear, requests *[]time.Time) {
	requests = &[]time.Time{}
	e = &Ear{
		claims: make(chan Claim, 16), link: Link{Name: "tn"}, mac: ourMAC, src: ourIP, ctx: t.Context(),
		hops: map[uint32]*heard{hopIP: {mac: oldMAC}},
	}
	e.request = func(addr uint32) error {
		if addr != hopIP {
			t.Errorf("asked for %x", addr)
		}
		answers := script[min(len(*requests), len(script)-1)]
		*requests = append(*requests, time.Now())
		for _, a := range answers {
			time.AfterFunc(a.after, func() { e.hear(answer(t, hopIP, a.mac)) })
		}
		return nil
	}
	return e, requests
}

// claims are all that were made until now.
func claims(e *Ear) (all []Claim) {
	for {
		select {
		case c := <-e.claims:
			c.Time = time.Time{}
			all = append(all, c)
		default:
			return all
		}
	}
}

func conflict(used, other [6]byte) []Conflict {
	return []Conflict{{"tn", hopAddr, used[:], other[:]}}
}

func TestEar(t *testing.T) {
	other := [6]byte{2, 0, 0, 0, 0, 0x66}
	changed := Claim{Link: "tn", Addr: hopAddr, Was: oldMAC[:], MAC: newMAC[:]}
	disputed := Claim{Link: "tn", Addr: hopAddr, Was: oldMAC[:], MAC: oldMAC[:], Conflicts: conflict(oldMAC, newMAC)}
	for _, c := range []struct {
		name   string
		script [][]who
		heard  func(e *Ear) // one announcement of newMAC by default
		want   []Claim
		asked  int
	}{
		{"the new one answers", [][]who{{{time.Millisecond, newMAC}}}, nil, []Claim{changed}, 1},
		{"nobody answers", [][]who{{}}, nil, nil, 3},
		{"the second request is answered", [][]who{{}, {{time.Millisecond, newMAC}}}, nil, []Claim{changed}, 2},
		{"the old one answers", [][]who{{{time.Millisecond, oldMAC}}}, nil, nil, 1},
		{"both answer", [][]who{{{1, newMAC}, {30 * time.Millisecond, oldMAC}}}, nil, []Claim{disputed}, 1},
		{"a third one answers", [][]who{{{1, other}}}, nil, []Claim{{Link: "tn", Addr: hopAddr, Was: oldMAC[:], MAC: other[:]}}, 1},
		{"both answer, said twice", [][]who{{{1, newMAC}, {2, oldMAC}}}, func(e *Ear) {
			for range 3 {
				e.hear(announcement(t, 1, hopIP, newMAC))
				time.Sleep(2 * earPace)
			}
		}, []Claim{disputed}, 3},
		{"both answer, then only the new one", [][]who{{{1, newMAC}, {2, oldMAC}}, {{1, newMAC}}}, func(e *Ear) {
			for range 2 {
				e.hear(announcement(t, 1, hopIP, newMAC))
				time.Sleep(2 * earPace)
			}
		}, []Claim{disputed, changed}, 2},
		{"announced a hundred times", [][]who{{}}, func(e *Ear) {
			for range 100 {
				e.hear(announcement(t, 2, hopIP, newMAC))
			}
		}, nil, 3},
		{"flooded for a minute", [][]who{{{1, oldMAC}}}, func(e *Ear) {
			for range 6000 {
				e.hear(announcement(t, 2, hopIP, newMAC))
				time.Sleep(10 * time.Millisecond)
			}
		}, nil, 61},
		{"said what is known", [][]who{{}}, func(e *Ear) { e.hear(announcement(t, 1, hopIP, oldMAC)) }, nil, 0},
		{"said of another", [][]who{{}}, func(e *Ear) { e.hear(announcement(t, 1, hopIP+1, newMAC)) }, nil, 0},
		{"said by a group", [][]who{{}}, func(e *Ear) { e.hear(announcement(t, 1, hopIP, [6]byte{3})) }, nil, 0},
		{"announced as a reply", [][]who{{{1, newMAC}}}, func(e *Ear) { e.hear(announcement(t, 2, hopIP, newMAC)) }, []Claim{changed}, 1},
		{"unasked for, to us", [][]who{{{1, newMAC}}}, func(e *Ear) { e.hear(answer(t, hopIP, newMAC)) }, []Claim{changed}, 1},
		{"changes in the middle of the question", [][]who{{{1, oldMAC}}, {{1, newMAC}}}, func(e *Ear) {
			e.hear(announcement(t, 1, hopIP, other))
			time.Sleep(20 * time.Millisecond) // the old one has answered, another answer is listened for
			e.hear(announcement(t, 1, hopIP, newMAC))
		}, []Claim{changed}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				e, requests := ear(t, c.script...)
				if c.heard == nil {
					c.heard = func(e *Ear) { e.hear(announcement(t, 1, hopIP, newMAC)) }
				}
				c.heard(e)
				time.Sleep(time.Minute)
				bubble.Wait()
				if diff := cmp.Diff(c.want, claims(e), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
					t.Errorf("want -, got +\n%s", diff)
				}
				if c.asked != len(*requests) {
					t.Errorf("%d requests, want %d", len(*requests), c.asked)
				}
			})
		})
	}
}

// A claim is looked into at once: a change is known within a moment.
func TestEarIsQuick(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		e, _ := ear(t, []who{{time.Millisecond, newMAC}})
		begin := time.Now()
		e.hear(announcement(t, 1, hopIP, newMAC))
		if c := <-e.Claims(); c.Time.Sub(begin) > 50*time.Millisecond {
			t.Errorf("after %v", c.Time.Sub(begin))
		}
	})
}

func TestEarConfirm(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		e, requests := ear(t, []who{{1, oldMAC}}, []who{}, []who{{1, newMAC}}, []who{{1, newMAC}, {2, oldMAC}}, []who{})
		confirm := func(want [6]byte, conflicts []Conflict) {
			t.Helper()
			mac, c, err := e.Confirm(t.Context(), hopAddr)
			if err != nil || [6]byte(mac) != want || !slices.EqualFunc(c, conflicts, func(a, b Conflict) bool { return a.String() == b.String() }) {
				t.Errorf("% x, %v, %v; want % x, %v", mac, c, err, want, conflicts)
			}
		}
		confirm(oldMAC, nil)
		confirm(newMAC, nil) // by the third request: the second is lost
		confirm(newMAC, conflict(newMAC, oldMAC))
		if len(*requests) != 4 {
			t.Errorf("%d requests", len(*requests))
		}
		var none *NoNeighbourError
		if _, _, err := e.Confirm(t.Context(), hopAddr); !errors.As(err, &none) || none.Addr != hopAddr {
			t.Errorf("nobody answers: %v", err)
		}
		if _, _, err := e.Confirm(t.Context(), netip.MustParseAddr("10.76.0.3")); !errors.As(err, &none) {
			t.Errorf("an address that is not listened for: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := e.Confirm(ctx, hopAddr); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		// Many at once are one question.
		time.Sleep(time.Minute)
		bubble.Wait()
		before := len(*requests)
		for range 10 {
			go e.Confirm(t.Context(), hopAddr)
		}
		time.Sleep(time.Minute)
		bubble.Wait()
		if n := len(*requests) - before; n > 2*earTries {
			t.Errorf("%d requests for ten questions at once", n)
		}
		if c := claims(e); len(c) != 0 {
			t.Errorf("claims for what was asked: %v", c)
		}
	})
}

// The kernel's filter passes what the parser takes of those listened for, and no other sender.
func TestSenderFilter(t *testing.T) {
	vm, err := bpf.NewVM(senderFilter([]uint32{hopIP, 0x0a4c0009}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"announcement", announcement(t, 1, hopIP, newMAC), true},
		{"announcement as a reply", announcement(t, 2, hopIP, newMAC), true},
		{"reply", answer(t, 0x0a4c0009, newMAC), true},
		{"of another", answer(t, 0x0a4c0003, newMAC), false},
		{"probe", announcement(t, 1, 0, newMAC), false},
	} {
		if n, err := vm.Run(c.frame); err != nil || (n >= len(c.frame)) != c.want {
			t.Errorf("%s: %d of %d bytes, %v", c.name, n, len(c.frame), err)
		}
		if _, _, ok := parseSender(c.frame); !ok && c.want {
			t.Errorf("%s: passed and not taken", c.name)
		}
		for i := range c.frame {
			if _, _, ok := parseSender(c.frame[:i]); ok {
				t.Errorf("%s: %d bytes were taken", c.name, i)
			}
		}
	}
	many := make([]uint32, maxEarHops)
	if raw, err := bpf.Assemble(senderFilter(many)); err != nil || len(raw) > 4096 {
		t.Errorf("%d instructions, %v", len(raw), err)
	}
}

// Whatever comes in, nothing but ARP of Ethernet and IPv4 is read from it, and a reply is a sender's word, too.
func FuzzARP(f *testing.F) {
	f.Add(announcement(f, 1, hopIP, newMAC))
	f.Add(announcement(f, 2, hopIP, newMAC))
	f.Add(answer(f, hopIP, newMAC))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s1, m1, reply := parseReply(b, ourMAC, ourIP)
		s2, m2, sender := parseSender(b)
		if reply && (!sender || s1 != s2 || m1 != m2) {
			t.Errorf("a reply of %x at % x, and a sender %x at % x %v", s1, m1, s2, m2, sender)
		}
		if sender && (len(b) < 42 || m2[0]&1 != 0 || b[12] != 8 || b[13] != 6) {
			t.Errorf("% x was taken", b)
		}
	})
}
