package confirm

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Interval is a time in which a port was open, as an inventory has it.
type Interval struct {
	At          netip.AddrPort
	First, Last time.Time // when it was seen open, first and last
	Until       time.Time // when it was seen to have ended; zero: it is open by all that is known
	Silent      bool      // it ended by silence or an ICMP error, and not by a reset
}

// Networks is a Known of what an inventory says. Each network, a /24 or a /64, is read when it is first asked for, and kept.
type Networks struct {
	read func(network netip.Prefix) ([]Interval, error)
	now  time.Time
	nets map[netip.Prefix][]Interval
	err  error
}

// NewNetworks makes one of a function that reads the intervals of a network, of one vantage point, by address, port and time.
func NewNetworks(read func(network netip.Prefix) ([]Interval, error), now time.Time) *Networks {
	return &Networks{read: read, now: now, nets: map[netip.Prefix][]Interval{}}
}

// Err is the first error of reading: then nothing of what was said holds.
func (k *Networks) Err() error { return k.err }

// recent is for how long intervals count that have ended.
const recent = 48 * time.Hour

// of are the intervals of an address's network that are open or have ended of late, and the last of each port.
func (k *Networks) of(net netip.Prefix) []Interval {
	if all, ok := k.nets[net]; ok || k.err != nil {
		return all
	}
	all, err := k.read(net)
	if err != nil {
		k.err = err
		return nil
	}
	kept := all[:0]
	for n, i := range all {
		last := n+1 == len(all) || all[n+1].At != i.At
		if last || i.Until.IsZero() || k.now.Sub(i.Until) <= recent {
			kept = append(kept, i)
		}
	}
	k.nets[net] = kept
	return kept
}

// Gone are the ports of an address that went with it when it was down.
func (k *Networks) Gone(addr netip.Addr) []uint16 {
	last := map[uint16]Ended{}
	for _, i := range k.of(NetOf(addr)) {
		if i.At.Addr() == addr {
			last[i.At.Port()] = Ended{Port: i.At.Port(), Until: i.Until, Silent: i.Silent}
		}
	}
	return GoneWith(slices.Collect(maps.Values(last)))
}

// Open is how many ports of an address were open.
func (k *Networks) Open(addr netip.Addr) (n int) {
	for _, i := range k.of(NetOf(addr)) {
		if i.At.Addr() == addr && i.Until.IsZero() {
			n++
		}
	}
	return n
}

// Seen is when any port of an address was seen open last.
func (k *Networks) Seen(addr netip.Addr) (last time.Time) {
	for _, i := range k.of(NetOf(addr)) {
		if i.At.Addr() == addr && i.Until.IsZero() && i.Last.After(last) {
			last = i.Last
		}
	}
	return last
}

// Hosts is how many addresses of a network had open ports.
func (k *Networks) Hosts(net netip.Prefix) int {
	hosts := map[netip.Addr]bool{}
	for _, i := range k.of(net) {
		if i.Until.IsZero() {
			hosts[i.At.Addr()] = true
		}
	}
	return len(hosts)
}

// Changes are the moments at which a port has opened or ended. That it was found first is none.
func (k *Networks) Changes(at netip.AddrPort) (all []time.Time) {
	for _, i := range k.of(NetOf(at.Addr())) {
		if i.At != at {
			continue
		}
		for _, t := range []time.Time{i.First, i.Until} {
			if !t.IsZero() && k.now.Sub(t) < recent {
				all = append(all, t)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}
