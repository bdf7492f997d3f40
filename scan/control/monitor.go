package control

import (
	"net/netip"

	"synoptic/scan/watch"
)

// Monitor is what is controlled where it is no scan: a *watch.Monitor, or one like it.
type Monitor interface {
	Request(targets ...watch.Target) (endpoints int, err error)
	Pause()
	Resume()
	Status() watch.Status
}

// Monitored is how a monitor does, of all that it watches.
type Monitored struct {
	Endpoints    uint64  `json:"endpoints"`
	Open         uint64  `json:"open"` // known to be, or required
	Overdue      uint64  `json:"overdue"`
	OldestS      int64   `json:"oldest_s"`
	BudgetPPS    float64 `json:"budget_pps"`
	UsedPPS      float64 `json:"used_pps"`
	Unconfirmed  uint64  `json:"unconfirmed"`
	Changes      uint64  `json:"changes"`
	Cycles       uint64  `json:"cycles"`
	CycleDone    float64 `json:"cycle_done"`
	Asking       bool    `json:"asking"` // probes can be sent
	Stopped      bool    `json:"stopped,omitempty"`
	Paused       bool    `json:"paused,omitempty"`
	Outage       string  `json:"outage,omitempty"`
	DarkNetworks int     `json:"dark_networks,omitempty"`
}

// monitored is a status as an answer has it.
func monitored(s *watch.Status) *Monitored {
	f := &s.Figures
	m := &Monitored{
		Endpoints: f.Endpoints, Overdue: f.Overdue, OldestS: f.Ages.Max, BudgetPPS: f.BudgetPPS, UsedPPS: f.UsedPPS, Unconfirmed: f.Unconfirmed, Changes: f.Changes,
		Cycles: f.Cycle, CycleDone: f.CycleDone, Asking: s.Asking && !s.Stopped && !s.Paused && s.Feed.Outage == "", Stopped: s.Stopped, Paused: s.Paused, Outage: s.Feed.Outage, DarkNetworks: s.Dark,
	}
	if len(f.Tiers) > 0 {
		m.Open = f.Tiers[0].Endpoints
	}
	return m
}

// DoMonitor does what a request wants of a monitor.
func DoMonitor(m Monitor, r Request) Answer {
	a, err := doMonitor(m, r)
	return outcome(r, a, err)
}

func doMonitor(m Monitor, r Request) (a Answer, err error) {
	if err := r.check(); err != nil {
		return a, err
	}
	switch r.Verb {
	case VerbPause, VerbResume:
		paused := r.Verb == VerbPause
		if a.Paused = &paused; paused {
			m.Pause()
		} else {
			m.Resume()
		}
	case VerbStatus:
		s := m.Status()
		a.Monitor = monitored(&s)
	case VerbNow:
		a.Requested, err = requested(m, r.Args)
	default:
		err = wrong("a monitor knows pause, resume, status and now; its rate and its targets are those of its configuration", "a monitor has no %s", r.Verb)
	}
	return a, err
}

// requested has endpoints asked at once.
func requested(m Monitor, words []string) (*int, error) {
	var all []watch.Target
	for _, word := range words {
		t := watch.Target{}
		if prefix, err := netip.ParsePrefix(word); err == nil {
			t.Prefix = prefix.Masked()
		} else if addr, err := netip.ParseAddr(word); err == nil {
			t.Prefix = netip.PrefixFrom(addr, addr.BitLen())
		} else if ap, err := netip.ParseAddrPort(word); err == nil && ap.Port() != 0 {
			t.Prefix, t.Port = netip.PrefixFrom(ap.Addr(), ap.Addr().BitLen()), ap.Port()
		} else {
			return nil, wrong("give addresses, prefixes, or ADDRESS:PORT", "%q is no address", short(word))
		}
		all = append(all, t)
	}
	n, err := m.Request(all...)
	if err != nil {
		return nil, wrong("give a smaller prefix, or ADDRESS:PORT", "%v", err)
	}
	if n == 0 {
		return nil, wrong("a monitor asks its targets and ports only", "nothing of that is watched")
	}
	return &n, nil
}
