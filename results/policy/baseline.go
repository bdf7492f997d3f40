package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"synoptic/results"
)

// Networks that a baseline groups hosts by: rules are made for the smaller, and joined within the larger where they say the same.
const (
	group4, joined4 = 24, 16
	group6, joined6 = 64, 48
)

// Baseline is what is open now, as a policy that allows just that.
type Baseline struct {
	open map[string]map[netip.Addr]*hostPorts // by vantage point
	n    int
}

type hostPorts struct {
	ports   map[uint16]bool
	suspect bool
}

// ErrNoVantage is that nobody knows what to write behind from: some endpoints have a vantage point and others have none.
var ErrNoVantage = errors.New("some scans say from which vantage point they are, and others do not")

// NewBaseline takes every endpoint that is open, of whichever scan.
func NewBaseline(all Endpoints) (*Baseline, error) {
	b := &Baseline{open: map[string]map[netip.Addr]*hostPorts{}}
	for e, err := range all {
		if err != nil {
			return nil, err
		}
		suspect := e.Suspect&results.SYNACKAll != 0
		isOpen := e.Port != 0 && e.State.Best() == results.Open
		if !isOpen && !suspect {
			continue
		}
		hosts := b.open[e.Vantage]
		if hosts == nil {
			hosts = map[netip.Addr]*hostPorts{}
			b.open[e.Vantage] = hosts
		}
		h := hosts[e.Addr]
		if h == nil {
			h = &hostPorts{ports: map[uint16]bool{}}
			hosts[e.Addr] = h
		}
		h.suspect = h.suspect || suspect
		if isOpen && !h.ports[e.Port] {
			h.ports[e.Port] = true
			b.n++
		}
	}
	if b.open[""] != nil && len(b.open) > 1 {
		return nil, ErrNoVantage
	}
	return b, nil
}

// Len is how many endpoints are open, of all vantage points.
func (b *Baseline) Len() int { return b.n }

// Suspects are the hosts that open everything, as far as they have an open port.
func (b *Baseline) Suspects() (n int) {
	for _, hosts := range b.open {
		for _, h := range hosts {
			n += b2i(h.suspect && len(h.ports) > 0)
		}
	}
	return n
}

// Vantages are the vantage points that the endpoints were seen from, ascending; "" is one that has no name.
func (b *Baseline) Vantages() (all []string) {
	for v := range b.open {
		all = append(all, v)
	}
	slices.Sort(all)
	return all
}

// draft is a rule of a baseline.
type draft struct {
	to      []netip.Addr // ascending
	ports   []PortRange
	from    []string // none: there is one vantage point only
	suspect bool
}

// drafts are rules that allow what is open and nothing else. What several vantage points see alike is one rule.
func (b *Baseline) drafts() (all []draft) {
	vantages := b.Vantages()
	at := map[string]int{}
	for _, v := range vantages {
		var some []draft
		for _, addrs := range networks(b.open[v]) {
			some = append(some, b.group(addrs, b.open[v])...)
		}
		for _, d := range join(some) {
			if len(vantages) == 1 {
				all = append(all, d)
				continue
			}
			key := fmt.Sprint(d.to, d.ports, d.suspect)
			i, known := at[key]
			if !known {
				i = len(all)
				at[key], all = i, append(all, d)
			}
			all[i].from = append(all[i].from, v)
		}
	}
	return all
}

// networks are the hosts by network, in ascending order.
func networks(hosts map[netip.Addr]*hostPorts) (all [][]netip.Addr) {
	addrs := make([]netip.Addr, 0, len(hosts))
	for a, h := range hosts {
		if len(h.ports) > 0 {
			addrs = append(addrs, a)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	for i := 0; i < len(addrs); {
		j := i + 1
		for j < len(addrs) && network(addrs[j], group4, group6) == network(addrs[i], group4, group6) {
			j++
		}
		all = append(all, addrs[i:j])
		i = j
	}
	return all
}

// network is the prefix of an address, whose length goes by the family.
func network(a netip.Addr, bits4, bits6 int) netip.Prefix {
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, _ := a.Prefix(bits) // no address is shorter
	return p
}

// group makes the rules of one network: of hosts with the same ports, or of ports with the same hosts, whichever are fewer.
func (b *Baseline) group(addrs []netip.Addr, hosts map[netip.Addr]*hostPorts) (all []draft) {
	byPort := map[uint16][]netip.Addr{}
	byPorts := map[string]*draft{}
	for _, a := range addrs {
		h := hosts[a]
		if h.suspect {
			all = append(all, draft{to: []netip.Addr{a}, ports: portRangesOf(h.ports), suspect: true})
			continue
		}
		for p := range h.ports {
			byPort[p] = append(byPort[p], a)
		}
		ranges := portRangesOf(h.ports)
		key := fmt.Sprint(ranges)
		if byPorts[key] == nil {
			byPorts[key] = &draft{ports: ranges}
		}
		byPorts[key].to = append(byPorts[key].to, a)
	}
	byHosts := map[string]map[uint16]bool{}
	toOf := map[string][]netip.Addr{}
	for p, to := range byPort {
		key := fmt.Sprint(to)
		if byHosts[key] == nil {
			byHosts[key] = map[uint16]bool{}
		}
		byHosts[key][p], toOf[key] = true, to
	}
	if len(byHosts) < len(byPorts) {
		for key, ports := range byHosts {
			all = append(all, draft{to: toOf[key], ports: portRangesOf(ports)})
		}
		return all
	}
	for _, d := range byPorts {
		all = append(all, *d)
	}
	return all
}

// join makes one rule of those within a larger network that allow the same ports, and puts all in order.
func join(some []draft) (all []draft) {
	type same struct {
		net   netip.Prefix
		ports string
	}
	at := map[same]int{}
	for _, d := range some {
		key := same{network(d.to[0], joined4, joined6), fmt.Sprint(d.ports)}
		i, known := at[key]
		switch {
		case d.suspect:
			all = append(all, d)
		case known:
			all[i].to = append(all[i].to, d.to...)
		default:
			at[key], all = len(all), append(all, d)
		}
	}
	for i := range all {
		slices.SortFunc(all[i].to, netip.Addr.Compare)
	}
	slices.SortFunc(all, func(a, b draft) int {
		return cmp.Or(network(a.to[0], joined4, joined6).Addr().Compare(network(b.to[0], joined4, joined6).Addr()),
			cmp.Compare(a.ports[0].First, b.ports[0].First), a.to[0].Compare(b.to[0]), strings.Compare(fmt.Sprint(a.ports), fmt.Sprint(b.ports)))
	})
	return all
}

func portRangesOf(ports map[uint16]bool) (all []PortRange) {
	list := make([]uint16, 0, len(ports))
	for p := range ports {
		list = append(list, p)
	}
	slices.Sort(list)
	for _, p := range list {
		if n := len(all); n > 0 && all[n-1].Last+1 == p {
			all[n-1].Last = p
		} else {
			all = append(all, PortRange{p, p})
		}
	}
	return all
}

// rangesOf are ascending addresses as words of a policy: whole ranges, of which each that is a prefix is written as one.
func rangesOf(addrs []netip.Addr) (words []string, prefix netip.Prefix) {
	var b netipx.IPSetBuilder
	for _, a := range addrs {
		b.Add(a)
	}
	set, _ := b.IPSet() // addresses always make a set
	for _, r := range set.Ranges() {
		words = append(words, quoted(Range{r.From(), r.To()}.String()))
	}
	prefix, _ = netipx.IPRangeFrom(addrs[0], addrs[len(addrs)-1]).Prefix()
	for bits := addrs[0].BitLen(); !prefix.IsValid() || !prefix.Contains(addrs[len(addrs)-1]); bits-- {
		prefix, _ = addrs[0].Prefix(bits)
	}
	return words, prefix
}

// quoted is a word in a YAML list: an IPv6 address needs quotes there.
func quoted(word string) string {
	if strings.Contains(word, ":") {
		return `"` + word + `"`
	}
	return word
}
