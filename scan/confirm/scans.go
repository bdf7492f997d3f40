package confirm

import (
	"context"
	"net/netip"
	"slices"

	"synoptic/results"
	"synoptic/scan"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// Scans asks by scans of a few ports each, whose records nobody else sees.
type Scans struct {
	// Config is that of the scan that found the candidates: its way, its pace and its limits are theirs too. Verify has open ports
	// answer with a handshake; without it a SYN-ACK counts as one.
	Config plan.Config
	// Controls are ports that have answered. Some are asked along, or nobody could tell a network in which nothing is left from one
	// that cannot be reached.
	Controls []netip.AddrPort
	Options  scan.Options
	// Excluded are addresses that nobody may ask any more; nil: none. Await waits while somebody has paused.
	Excluded func(netip.Addr) bool
	Await    func(context.Context)
}

// Ask is an Ask.
func (s *Scans) Ask(ctx context.Context, ports []netip.AddrPort, attempts int) (map[netip.AddrPort]Answer, error) {
	if s.Await != nil {
		s.Await(ctx)
	}
	controls := s.allowed(s.Controls)
	if ports = s.allowed(ports); len(ports) == 0 {
		return nil, nil
	}
	space, err := pairs(ports, controls)
	if err != nil {
		return nil, err
	}
	c := s.Config
	c.Targets = &target.Targets{Space: space}
	c.ShardI, c.ShardOf, c.Seed, c.Attempts, c.TargetRecall = 0, 0, 0, attempts, 0
	c.Show, c.ShowHosts, c.Frames, c.Canaries = results.Open|results.Closed|results.Filtered|results.Unknown, false, false, false
	c.Beacons = controls
	p, err := plan.New(c)
	if err != nil {
		return nil, err
	}
	run, err := scan.NewWith(p, s.Options)
	if err != nil {
		return nil, err
	}
	answers := map[netip.AddrPort]Answer{}
	end, err := run.Run(ctx, results.SinkFuncs{OnPorts: func(batch []results.Port) error {
		for i := range batch {
			r := &batch[i]
			answers[netip.AddrPortFrom(r.Addr, r.Port)] = Answer{r.Reason, s.shaken(r)}
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	if end.Evidence != nil && end.Evidence.State == results.EvidenceStateNone {
		forgetSilent(answers)
	}
	return answers, nil
}

// allowed are those that may be asked.
func (s *Scans) allowed(ports []netip.AddrPort) []netip.AddrPort {
	if s.Excluded == nil {
		return ports
	}
	return slices.DeleteFunc(slices.Clone(ports), func(at netip.AddrPort) bool { return s.Excluded(at.Addr()) })
}

// shaken tells whether a handshake was completed.
func (s *Scans) shaken(r *results.Port) bool {
	return r.Reason.State() == results.Open && (!s.Config.Verify || r.Verified == results.VerifyTrue || r.Reason == results.Connect)
}

// forgetSilent takes out what says nothing where nothing has answered.
func forgetSilent(answers map[netip.AddrPort]Answer) {
	for at, a := range answers {
		if a.Reason == results.NoResponse || a.Reason == results.Timeout {
			delete(answers, at)
		}
	}
}

// pairs are the ports of the two lists, each once.
func pairs(lists ...[]netip.AddrPort) (*target.Space, error) {
	builders := map[uint16]*target.SetBuilder{}
	for _, list := range lists {
		for _, at := range list {
			b := builders[at.Port()]
			if b == nil {
				b = &target.SetBuilder{}
				builders[at.Port()] = b
			}
			b.AddAddr(at.Addr())
		}
	}
	sets := map[uint16]*target.Set{}
	for port, b := range builders {
		set, err := b.Set()
		if err != nil {
			return nil, err
		}
		sets[port] = set
	}
	return target.NewSpace(nil, nil, sets)
}
