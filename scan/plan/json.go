package plan

import (
	"encoding/json"
	"iter"
	"net/netip"

	"go4.org/netipx"

	"synoptic/results"
	"synoptic/scan/permute"
	"synoptic/scan/spec"
)

// formVersion is the field "plan": it changes when a field changes its meaning.
const formVersion = 1

// form is a plan as JSON. Ranges are written as in the digests' text, durations as time.Duration prints them.
// Host names themselves, the command line and whatever is secret are not in it.
type form struct {
	Form          int    `json:"plan"`
	ScanID        string `json:"scan_id"`
	Version       string `json:"version,omitempty"` // of the program
	PlanDigest    string `json:"plan_digest"`
	TargetsDigest string `json:"targets_digest"`
	PortsDigest   string `json:"ports_digest"`

	Targets    ranges   `json:"targets"`             // on all of Ports
	Ports      string   `json:"ports"`               // as ParsePorts reads it
	Pairs      []pairs  `json:"pairs,omitempty"`     // targets on a port of their own
	Exclusions ranges   `json:"exclusions"`          // targets or not
	Addresses  uint64   `json:"addresses"`           // that are probed
	Excluded   uint64   `json:"excluded"`            // that were asked for and are excluded
	Broadcast  []string `json:"broadcast,omitempty"` // that were asked for and are left out
	Unrouted   uint64   `json:"unrouted,omitempty"`  // how many were asked for and are left out, as there is no route to them
	Names      int      `json:"names,omitempty"`     // how many host names were among the targets
	Skipped    int      `json:"names_skipped,omitempty"`
	NoPorts    string   `json:"excluded_ports,omitempty"` // as ParsePorts reads it
	Scope      *scope   `json:"scope,omitempty"`

	Seed        uint64      `json:"seed"`
	Shard       string      `json:"shard,omitempty"`
	Positions   positions   `json:"positions"`
	Permutation permutation `json:"permutation"`

	Choice      Choice     `json:"choice"`
	Asked       asked      `json:"asked"`
	Pace        pace       `json:"pace"`
	Paths       []path     `json:"paths,omitempty"` // none where the kernel chooses
	SourcePorts *PortRange `json:"source_ports,omitempty"`
	FrameLen    int        `json:"frame_len"`
	Window      uint64     `json:"window"`
	Connections int        `json:"connections,omitempty"` // under way at once, of the connect backend
	Policy      policy     `json:"policy"`
	Warnings    []string   `json:"warnings,omitempty"`
	Hints       []string   `json:"hints,omitempty"`
	Apart       []*Plan    `json:"apart,omitempty"` // parts of the targets that go another way, after the others
}

type pairs struct {
	Port    uint16 `json:"port"`
	Targets ranges `json:"targets"`
}

type scope struct {
	File      string `json:"file"`
	SHA256    string `json:"sha256"`
	Addresses uint64 `json:"addresses"`
}

type positions struct {
	Begin uint64 `json:"begin"`
	End   uint64 `json:"end"`
}

type permutation struct {
	Version int    `json:"version"`
	Len     uint64 `json:"len"`
}

// asked is what of the Config decides the rest and is not seen elsewhere.
type asked struct {
	Backend    string   `json:"backend"`
	Rate       float64  `json:"rate,omitempty"`
	Auto       bool     `json:"auto,omitempty"`
	MinRate    float64  `json:"min_rate,omitempty"`
	MaxRate    float64  `json:"max_rate,omitempty"`
	Bandwidth  float64  `json:"bandwidth,omitempty"`
	PerHost    float64  `json:"rate_per_host,omitempty"`
	PerPrefix  []string `json:"rate_per_prefix,omitempty"` // as ratelimit.ParsePrefixRate reads it
	Interface  string   `json:"iface,omitempty"`
	Source     string   `json:"src_ip,omitempty"`
	Spoof      bool     `json:"spoof_source,omitempty"`
	SourcePort uint16   `json:"src_port,omitempty"`
	GatewayMAC string   `json:"gateway_mac,omitempty"`
	Lanes      int      `json:"lanes,omitempty"`
	Live       bool     `json:"live,omitempty"`
}

type pace struct {
	Start  float64 `json:"start"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Reason string  `json:"reason"`
}

type path struct {
	Interface string `json:"iface"`
	Source    string `json:"src_ip"`
	Gateway   string `json:"gateway,omitempty"` // absent where targets are on-link
	Local     bool   `json:"local,omitempty"`   // the targets are this host
}

type policy struct {
	Attempts     int      `json:"attempts"`
	RetryGap     string   `json:"retry_gap"`
	TargetRecall float64  `json:"target_recall,omitempty"`
	Wait         string   `json:"wait"`
	Patience     string   `json:"patience"`
	Beacons      []string `json:"beacons,omitempty"`
	Batch        int      `json:"batch"`
	MaxMemory    int64    `json:"max_memory"`
	Profile      string   `json:"syn_profile"`
	Show         []string `json:"show"`
	Canaries     bool     `json:"canaries,omitempty"`
	Verify       bool     `json:"verify,omitempty"`
	ShowHosts    bool     `json:"show_hosts,omitempty"`
	Frames       bool     `json:"frames,omitempty"`
	NoBackoff    bool     `json:"no_backoff,omitempty"`
}

// MarshalJSON writes all that is decided, with the digests, for who looks at a plan or goes on with it later.
func (p *Plan) MarshalJSON() ([]byte, error) {
	d, c, t := p.allDigests(), &p.Asked, p.Asked.Targets
	addrs, ports := p.Space.Product()
	f := form{
		Form: formVersion, ScanID: p.ScanID, Version: c.Version, PlanDigest: d.plan, TargetsDigest: d.targets, PortsDigest: d.ports,
		Targets: ranges{addrs.Ranges()}, Exclusions: ranges{t.Exclusions()},
		Addresses: p.Space.Addrs().Len(), Excluded: t.Excluded, Unrouted: p.Unreached(), Names: t.HostNames, Skipped: t.SkippedNames,
		Seed: p.Seed, Shard: p.shard(), Positions: positions(p.Positions), Permutation: permutation{permute.Version, p.Permutation.Len()},
		Choice: p.Choice, Pace: pace{p.Pace.Start, p.Pace.Min, p.Pace.Max, p.RateReason}, FrameLen: p.FrameLen, Window: p.Window, Connections: p.connections(), Warnings: p.Warnings, Hints: p.Hints, Apart: p.Apart,
		Asked: asked{
			Backend: c.Backend, Rate: c.Rate, Auto: c.Auto, MinRate: c.MinRate, MaxRate: c.MaxRate, Bandwidth: c.Bandwidth, PerHost: c.RatePerHost, Interface: c.Interface, Source: addrText(c.Source), Spoof: c.SpoofSource,
			SourcePort: c.SourcePort, GatewayMAC: c.GatewayMAC.String(), Lanes: c.Lanes, Live: c.Live,
		},
		Policy: policy{
			Attempts: c.Attempts, RetryGap: c.RetryGap.String(), TargetRecall: c.TargetRecall, Wait: c.Wait.String(), Patience: c.Patience.String(), Batch: c.Batch,
			MaxMemory: c.MaxMemory, Profile: c.Profile.String(), Show: states(c.Show),
			Canaries: c.Canaries, Verify: c.Verify, ShowHosts: c.ShowHosts, Frames: c.Frames, NoBackoff: c.NoBackoff,
		},
	}
	if ports != nil {
		f.Ports = ports.String()
	}
	if t.ExcludedPorts != nil {
		f.NoPorts = t.ExcludedPorts.String()
	}
	for port, addrs := range p.Space.Pairs() {
		f.Pairs = append(f.Pairs, pairs{port, ranges{addrs.Ranges()}})
	}
	for _, l := range c.RatePerPrefix {
		f.Asked.PerPrefix = append(f.Asked.PerPrefix, l.String())
	}
	for _, b := range c.Beacons {
		f.Policy.Beacons = append(f.Policy.Beacons, b.String())
	}
	for _, a := range p.Broadcast {
		f.Broadcast = append(f.Broadcast, a.String())
	}
	if t.Scope != nil {
		f.Scope = (*scope)(t.Scope)
	}
	if p.Routes != nil {
		f.SourcePorts = &p.SourcePorts
		for _, w := range p.Routes.Paths {
			f.Paths = append(f.Paths, path{w.Link.Name, addrText(w.Src), addrText(w.Gateway), w.Local})
		}
	}
	return json.Marshal(f)
}

// ranges are written one by one: there may be millions.
type ranges struct{ all iter.Seq[netipx.IPRange] }

// MarshalJSON writes a list of texts "first-last".
func (r ranges) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for x := range r.all {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(spec.AppendRange(b, x.From(), x.To()), '"')
	}
	return append(b, ']'), nil
}

// addrText is "" for an address that there is not.
func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func states(s results.State) (names []string) {
	for _, one := range []results.State{results.Open, results.Closed, results.Filtered, results.Unknown} {
		if s&one != 0 {
			names = append(names, one.String())
		}
	}
	return names
}
