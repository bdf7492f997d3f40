//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
	"synoptic/scan/probe"
)

// generatorOn loads the programs of a scan on a network, with the receiver attached.
func generatorOn(t testing.TB, n *testnet.Network, s *subject) *Programs {
	t.Helper()
	ifi, err := net.InterfaceByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	s.config.Interface, s.config.Source, s.source = ifi.Index, n.Source, n.Source
	p, err := Load(s.config)
	if err != nil {
		skipWithoutBPF(t, err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.Attach(false); err != nil {
		t.Fatal(err)
	}
	s.template, err = probe.NewTemplate(probe.TemplateConfig{
		Ethernet: true, SrcMAC: n.HardwareAddr, DstMAC: n.PeerHardwareAddr, Src: n.Source, Profile: s.profile,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetFrame(s.template.Constants()); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := p.PrepareGenerator(); err != nil {
		t.Fatal(err)
	}
	return p
}

// generate runs the generator until it has nothing more to send.
func generate(t *testing.T, p *Programs) {
	t.Helper()
	done := make(chan struct{})
	var finished atomic.Bool
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer close(done)
	watcher.Go(func() {
		for was := p.Progress(); ; {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
			now := p.Progress()
			if idle := now.Starved > was.Starved && now.Flying == 0 && now.Spent == was.Spent; idle {
				finished.Store(true)
				p.Interrupt()
			}
			was = now
		}
	})
	for !finished.Load() { // a process that is stopped and goes on ends the call, too
		if err := p.Generate(); err != nil {
			t.Fatal(err)
		}
	}
}

// A frame that comes back shorter, as the responder's RSTs are, goes out again at its full length.
func TestGeneratorReachesAll(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	r := responder.New(t, n, responder.Config{Closed: 1, LocalNet: netip.MustParsePrefix("10.76.0.0/24")})
	s := newSubject(t, parse(t, "10.77.0.0/16", "", "443"), 7, probe.ProfileMSS)
	p := generatorOn(t, n, s)
	p.SetWindow(0, 1<<16)
	p.Post(Pass{End: 1 << 16, First: true})
	p.Grant(1 << 16)
	generate(t, p)
	c, err := r.Counters()
	if err != nil || c.SYNs != 1<<16 || c.Others != 0 {
		t.Errorf("%+v: %v", c, err)
	}
	if now := p.Progress(); now.Sent != 1<<16 || now.Finished != 1 || now.Flying != 0 {
		t.Errorf("%+v", now)
	}
	// Nothing paces: where the processors run by turns, the link drops replies, and counts them.
	tally, err := p.Tally()
	if err != nil || uint64(tally.Closed) != tally.Replies || tally.Replies > 1<<16 || tally.Replies+c.RepliesDropped < 1<<16 {
		t.Errorf("%+v, %d dropped: %v", tally, c.RepliesDropped, err)
	}
}
