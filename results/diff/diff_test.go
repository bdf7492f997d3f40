package diff

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"synoptic/results"
	"synoptic/results/coverage"
)

// row is a space of one address: its ports, from the first on, stand in their order.
type row struct {
	addr  netip.Addr
	first uint16
	n     uint16
}

func (r row) Position(addr netip.Addr, port uint16) (uint64, bool) {
	if addr != r.addr || port < r.first || port >= r.first+r.n {
		return 0, false
	}
	return uint64(port - r.first), true
}

// world is what a test knows of a scan: of each port whether it was asked while evidence held, and what it answered.
type world struct {
	covered [8]bool
	reason  [8]results.Reason // of ports that were asked; NoResponse: none came
	service [8]string
	suspect bool
}

var host = netip.MustParseAddr("192.0.2.1")

const firstPort, begun, ended = 20, 1_000_000, 2_000_000

func (w *world) draw(t *rapid.T, show results.State, at int64) *Scan {
	s := NewScan()
	s.Start(&results.ScanStart{ScanID: "scan", Scanner: "here", Time: moment(at + begun), Show: show.Names()})
	var ranges []coverage.Range
	w.suspect = rapid.IntRange(0, 9).Draw(t, "suspect") == 0
	first, n := rapid.IntRange(0, 3).Draw(t, "first"), rapid.IntRange(1, 5).Draw(t, "ports")
	var ports []results.Port
	for i := range w.covered {
		if i < first || i >= first+n {
			continue
		}
		w.covered[i] = rapid.Bool().Draw(t, "covered")
		w.reason[i] = rapid.SampledFrom([]results.Reason{results.SYNACK, results.SYNACK, results.RST, results.ICMPPortUnreachable, results.NoResponse}).Draw(t, "reason")
		if w.covered[i] {
			ranges = append(ranges, coverage.Range{Begin: uint64(i - first), End: uint64(i-first) + 1})
		} else if w.reason[i] == results.NoResponse {
			w.reason[i] = results.EvidenceLost
		}
		p := results.Port{Time: at + begun + int64(i) + 1, Addr: host, Port: uint16(firstPort + i), Reason: w.reason[i]}
		if w.reason[i] == results.SYNACK {
			if w.service[i] = rapid.SampledFrom([]string{"", "ssh", "http"}).Draw(t, "service"); w.service[i] != "" {
				p.Service, p.ServiceSource = w.service[i], results.ServiceBanner
			}
			if w.suspect {
				p.Suspect = results.SYNACKAll
			}
		}
		if p.Reason.State()&show != 0 {
			ports = append(ports, p)
		}
	}
	s.Parts = []Part{{row{host, uint16(firstPort + first), uint16(n)}, coverage.Of(ranges...)}}
	s.Open(ports)
	s.Others(ports, everything()) // what is not needed must not matter
	s.End(&results.ScanEnd{ScanID: "scan", Time: moment(at + ended), Complete: true, Open: 9, MissedOpen: &results.Estimate{Value: 1}})
	return s
}

// everything has each port open.
func everything() *Scan {
	s := NewScan()
	for i := range 8 {
		s.Open([]results.Port{{Addr: host, Port: uint16(firstPort + i), Reason: results.SYNACK}})
	}
	return s
}

// kind is what a comparison has to find of a port, worked out from what is true and what each scan shows.
func kind(before, after *world, showBefore, showAfter results.State, i int) results.ChangeKind {
	open := func(w *world) bool { return w.reason[i] == results.SYNACK }
	known := func(w *world, show results.State) bool { // that it is not open
		return w.covered[i] || w.reason[i] != results.ReasonNone && w.reason[i] != results.EvidenceLost && w.reason[i].State()&show != 0
	}
	switch {
	case open(before) && open(after):
		if before.service[i] != after.service[i] && before.service[i] != "" && after.service[i] != "" {
			return results.ChangeService
		}
		return results.ChangeNone
	case open(after) && known(before, showBefore):
		return results.ChangeOpened
	case open(after):
		return results.ChangeFound
	case !open(before):
		return results.ChangeNone
	case !known(after, showAfter):
		return results.ChangeUnknown
	case after.reason[i] == results.RST && showAfter&results.Closed != 0:
		return results.ChangeClosed
	case after.reason[i] != results.RST && showAfter&(results.Closed|results.Filtered) != 0:
		return results.ChangeGone
	}
	return results.ChangeShut
}

// Whatever two scans show, covered or not, the comparison says what is true of it and nothing else.
func TestCompare(t *testing.T) {
	shows := []results.State{results.Open, results.Open | results.Closed, results.Open | results.Closed | results.Filtered | results.Unknown}
	rapid.Check(t, func(t *rapid.T) {
		var before, after world
		showBefore, showAfter := rapid.SampledFrom(shows).Draw(t, "show before"), rapid.SampledFrom(shows).Draw(t, "show after")
		a, b := before.draw(t, showBefore, 0), after.draw(t, showAfter, 1_000_000_000)
		r := Compare(a, b)
		got := map[uint16]results.Change{}
		for _, c := range r.Changes {
			if _, twice := got[c.Port]; twice || c.Addr != host || c.ScanID != "scan" || c.Vantage != "here" || c.Proto != "tcp" {
				t.Fatalf("%+v", c)
			}
			got[c.Port] = c
		}
		shown := func(s *Scan) bool { return s.suspects[host] }
		if shown(a) || shown(b) {
			if len(got) > 0 {
				t.Fatalf("a host that is not to be believed: %+v", got)
			}
			return
		}
		same := uint64(0)
		for i := range before.covered {
			c, want := got[uint16(firstPort+i)], kind(&before, &after, showBefore, showAfter, i)
			if c.Change != want {
				t.Fatalf("port %d: %q, want %q\nbefore %+v\nafter %+v", firstPort+i, c.Change, want, before, after)
			}
			if before.reason[i] == results.SYNACK && after.reason[i] == results.SYNACK && want == results.ChangeNone {
				same++
			}
			checkTimes(t, &c, i)
		}
		if r.Same != same || r.Kinds[results.ChangeOpened]+r.Kinds[results.ChangeFound] != uint64(opened(got)) {
			t.Fatalf("%+v, want %d the same", r, same)
		}
	})
}

func opened(got map[uint16]results.Change) (n int) {
	for _, c := range got {
		if c.After == "open" && c.Before != "open" {
			n++
		}
	}
	return n
}

// checkTimes: the window begins where the port was last known to be as before, and ends where it is first known to be as now.
func checkTimes(t *rapid.T, c *results.Change, i int) {
	ns := func(at *results.Time) int64 {
		if at == nil {
			return 0
		}
		return time.Time(*at).UnixNano()
	}
	const day = 1_000_000_000
	own := begun + int64(i) + 1
	from, to := ns(c.NotBefore), ns(c.NotAfter)
	good := true
	switch c.Change {
	case results.ChangeFound:
		good = from == 0 && to == day+own
	case results.ChangeOpened:
		good = (from == own || from == begun) && to == day+own
	case results.ChangeClosed, results.ChangeService:
		good = from == own && to == day+own
	case results.ChangeGone, results.ChangeShut:
		good = from == own && (to == day+own || to == day+ended)
	case results.ChangeUnknown:
		good = from == own && to == 0
	}
	if !good {
		t.Fatalf("%s of %d: from %d to %d", c.Change, i, from, to)
	}
	if silent := c.Change == results.ChangeShut || c.Change == results.ChangeGone && c.Reason != "icmp-port-unreachable"; silent != (c.PFalse != nil) || silent && *c.PFalse != 0.1 {
		t.Fatalf("%s by %s: probability %v", c.Change, c.Reason, c.PFalse)
	}
}

// The version in an SSH banner is a part of the service; what other protocols greet with is not.
func TestServices(t *testing.T) {
	of := func(service, banner string) *Scan {
		s := NewScan()
		s.Open([]results.Port{{Addr: host, Port: 22, Reason: results.SYNACK, Service: service, ServiceSource: results.ServiceBanner, Banner: []byte(banner)}})
		return s
	}
	for _, c := range []struct {
		before, after *Scan
		changed       bool
	}{
		{of("ssh", "SSH-2.0-OpenSSH_9.2\r\nnonce 1"), of("ssh", "SSH-2.0-OpenSSH_9.2\r\nnonce 2"), false},
		{of("ssh", "SSH-2.0-OpenSSH_9.2\r\n"), of("ssh", "SSH-2.0-OpenSSH_9.3\r\n"), true},
		{of("smtp", "220 mail 12:00\r\n"), of("smtp", "220 mail 12:01\r\n"), false},
		{of("smtp", ""), of("http", ""), true},
	} {
		r := Compare(c.before, c.after)
		if (len(r.Changes) == 1) != c.changed || c.changed && r.Changes[0].Change != results.ChangeService {
			t.Errorf("%+v", r.Changes)
		}
	}
}
