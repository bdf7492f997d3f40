//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"net/netip"
	"slices"
	"testing"

	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/scan/probe"
)

// What is excluded is passed over: no frame, nothing of the budget, the position unknown unless it has answered; and only from when it is
// excluded on.
func TestGeneratorExcludes(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	far := newFarEnd(t, n, 0)
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 5, probe.ProfileMSS)
	s.config.Window = 1 << 10
	p := generatorOn(t, n, s)
	g := &generatorModel{subject: s, Programs: p, far: far}
	const window = 1 << 10
	addr := func(at uint64) netip.Addr {
		a, _ := s.space.At(s.permutation.Index(at))
		return a
	}
	state := func(at uint64) results.State { return results.State(p.Slots()[at%window/16]>>(at%16*4)) & 15 }
	run := func(pass Pass) {
		t.Helper()
		var probes []sentProbe
		for _, d := range due(pass, state) {
			if !g.excluded(addr(d.position)) {
				probes = append(probes, d)
			} else {
				g.passedOver++
			}
		}
		if !p.Post(pass) {
			t.Fatal("no room")
		}
		p.Grant(uint64(len(probes)) + 1) // one is left over, however many are passed over
		generateUntil(t, p, 1<<15, func(now Progress) bool { return now.Finished == g.finished+1 && now.Flying == 0 })
		g.compare(t, probes, 1)
		if left := p.Granted() - p.Progress().Spent; left != 1 {
			t.Errorf("%d of the budget are left, want 1", left)
		}
		p.Grant(^uint64(0))
	}
	run(Pass{End: window, First: true})
	for at := uint64(0); at < window; at += 5 {
		p.Slots()[at/16] |= uint64(results.Closed) << (at % 16 * 4)
	}
	exclude := func(texts ...string) {
		t.Helper()
		var prefixes []netip.Prefix
		for _, text := range texts {
			prefixes = append(prefixes, netip.MustParsePrefix(text))
		}
		if err := p.Exclude(slices.Values(prefixes)); err != nil {
			t.Fatal(err)
		}
		g.gone = append(g.gone, prefixes...)
	}
	exclude("10.77.0.0/17", "2001:db8::/32", addr(window-1).String()+"/32", addr(window-2).String()+"/32")
	run(Pass{End: window, Probes: 1})
	unknown := uint64(0)
	for at := range uint64(window) {
		want := results.State(0)
		if at%5 == 0 {
			want = results.Closed
		} else if g.excluded(addr(at)) {
			want = results.Unknown
			unknown++
		}
		if state(at) != want && state(at) != want|results.Unknown || at%5 == 0 && state(at) != want {
			t.Fatalf("position %d, %v: %v, want %v", at, addr(at), state(at), want)
		}
	}
	if unknown != g.passedOver || unknown < window/4 {
		t.Errorf("%d positions are unknown, %d were passed over", unknown, g.passedOver)
	}
	exclude("10.77.128.0/18") // more and more
	run(Pass{End: window, Probes: 2})
	exclude("0.0.0.0/0")
	run(Pass{End: window, Probes: 3})
	clear(p.Slots()) // the window moves on
	run(Pass{Begin: window, End: 2 * window, First: true})
}
