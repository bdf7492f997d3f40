package main

import (
	"cmp"
	"io"
	"iter"
	"net/netip"
	"os"
	"slices"
	"time"

	"synoptic/results"
	"synoptic/results/exposure"
	"synoptic/results/inventory"
	"synoptic/scan/spec"
)

// isDatabase tells whether a file is of SQLite, by how it begins (https://sqlite.org/fileformat2.html#magic_header_string).
func isDatabase(name string) bool {
	const magic = "SQLite format 3\x00"
	if name == "-" {
		return false
	}
	f, err := os.Open(name)
	if err != nil {
		return false // whoever reads it says why that cannot be
	}
	defer f.Close()
	begin := make([]byte, len(magic))
	_, err = io.ReadFull(f, begin)
	return err == nil && string(begin) == magic
}

// inventoryView is what an inventory knows of this host: an exposure.View.
type inventoryView struct {
	db      *inventory.DB
	asked   *inventory.Asked
	vantage string
	self    string // the vantage whose 127.0.0.1 is this host
	plans   []*spec.Space
	loaded  []netip.Prefix
	seen    map[netip.AddrPort]results.State // of endpoints that are or were open
	open    []exposure.Sight
	err     error
}

// seenByInventory reads what an inventory knows of the addresses of a host.
func seenByInventory(db *inventory.DB, vantage, self string, host []*exposure.Namespace) (*inventoryView, error) {
	k := &inventoryView{db: db, vantage: vantage, self: self, seen: map[netip.AddrPort]results.State{}}
	if k.asked, k.err = db.Asked(vantage); k.err != nil {
		return nil, k.err
	}
	scans, err := db.Scans(vantage)
	if err != nil {
		return nil, err
	}
	for i := range scans {
		plans, err := db.Plans(scans[i])
		if err != nil {
			return nil, err
		}
		for _, p := range plans {
			if s, ok := p.Space.(*spec.Space); ok && p.Asked > 0 && !slices.Contains(k.plans, s) {
				k.plans = append(k.plans, s)
			}
		}
	}
	for _, n := range host {
		for _, p := range n.Local {
			k.load(p)
		}
		for i := range n.Published {
			if p := n.Published[i].Addr; p.IsValid() {
				k.load(p)
			}
		}
	}
	return k, k.err
}

// load reads what is known of a prefix, once.
func (k *inventoryView) load(p netip.Prefix) {
	if k.err != nil || slices.ContainsFunc(k.loaded, func(q netip.Prefix) bool { return q.Contains(p.Addr()) && q.Bits() <= p.Bits() }) {
		return
	}
	k.loaded = append(k.loaded, p)
	all, err := k.db.History(p, 0, time.Time{})
	if err != nil {
		k.err = err
		return
	}
	for i := range all {
		x := &all[i]
		if k.vantage != "" && x.Vantage != k.vantage || x.Addr.IsLoopback() && x.Vantage != k.self {
			continue
		}
		if next := i + 1; next == len(all) || all[next].Addr != x.Addr || all[next].Port != x.Port || all[next].Vantage != x.Vantage {
			k.take(x)
		}
	}
}

// take notes the last interval of an endpoint from a vantage. Of several vantages the better state counts.
func (k *inventoryView) take(x *inventory.Interval) {
	at := netip.AddrPortFrom(x.Addr, x.Port)
	switch {
	case x.Open():
		k.seen[at] |= results.Open
		k.open = append(k.open, exposure.Sight{AddrPort: at, Time: x.Last.UnixNano(), ScanID: x.LastScan})
	case x.How == "closed":
		k.seen[at] |= results.Closed
	default:
		k.seen[at] |= results.Filtered
	}
}

// Seen implements exposure.View. An endpoint that was asked and is not open is filtered, unless it ended with a reset: an inventory does not keep
// how ports answer that were never open.
func (k *inventoryView) Seen(ep netip.AddrPort) (state results.State, known bool) {
	k.load(netip.PrefixFrom(ep.Addr(), ep.Addr().BitLen()))
	if s := k.seen[ep]; s != 0 {
		return s, true
	}
	asked, err := k.asked.Has(ep)
	switch k.err = cmp.Or(k.err, err); {
	case asked && !ep.Addr().IsLoopback():
		return results.Filtered, true
	case slices.ContainsFunc(k.plans, func(s *spec.Space) bool { return s.Unordered().Addrs().Contains(ep.Addr()) }):
		return results.Unknown, false
	}
	return 0, false
}

// Open implements exposure.View, by address and port.
func (k *inventoryView) Open() iter.Seq[exposure.Sight] {
	slices.SortStableFunc(k.open, func(a, b exposure.Sight) int { return a.Compare(b.AddrPort) })
	return slices.Values(slices.CompactFunc(k.open, func(a, b exposure.Sight) bool { return a.AddrPort == b.AddrPort }))
}
