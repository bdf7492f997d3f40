package screen

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"synoptic/results"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

const (
	// hostsShown is how many hosts with open ports are listed one by one when the scan is over.
	hostsShown = 50
	// mostCounted bounds the memory that counting hosts takes, to 16 MiB: a bit for every target.
	mostCounted = 1 << 27
)

// found is what a scan has found open, for a person to look at when it is over. Its memory does not grow with what is found.
type found struct {
	targets *target.Set
	seen    []uint64 // a bit for every target with an open port; nil where there are too many targets
	hosts   uint64   // bits set
	ports   map[uint16]uint64
	listed  map[netip.Addr]*foundHost // nil once there are more than hostsShown
}

type foundHost struct {
	open     []uint16 // as they came
	hostname string
	suspect  results.Suspect
}

func (f *found) begin(p *plan.Plan) {
	f.targets = p.Space.Addrs()
	if n := f.targets.Len(); n <= mostCounted {
		f.seen = make([]uint64, (n+63)/64)
	}
	f.ports, f.listed = map[uint16]uint64{}, map[netip.Addr]*foundHost{}
}

// Note takes what has been found, whether it is shown in the table or not.
func (v *View) Note(batch []results.Port) {
	if !v.person || v.found.targets == nil {
		return
	}
	for i := range batch {
		if p := &batch[i]; p.Reason.State() == results.Open {
			v.found.add(p)
		}
	}
}

func (f *found) add(p *results.Port) {
	f.ports[p.Port]++
	if i, ok := f.targets.Index(p.Addr); ok && f.seen != nil && f.seen[i/64]>>(i%64)&1 == 0 {
		f.seen[i/64] |= 1 << (i % 64)
		f.hosts++
	}
	if f.listed == nil {
		return
	}
	h := f.listed[p.Addr]
	if h == nil {
		if len(f.listed) == hostsShown {
			f.listed = nil
			return
		}
		h = &foundHost{}
		f.listed[p.Addr] = h
	}
	h.open = append(h.open, p.Port)
	h.hostname = cmp.Or(h.hostname, p.Hostname)
	h.suspect |= p.Suspect
}

// Report shows what was found by host, where these are few, and by port. A single open port needs no report.
func (v *View) Report() {
	f := &v.found
	if !v.person || len(f.ports) == 0 || len(f.ports) == 1 && f.hosts == 1 {
		return
	}
	columns := columnsOf(v.Err)
	t := table{address: v.table.address, columns: columns}
	var b strings.Builder
	if len(f.listed) > 0 && !v.hosts {
		b.WriteString(reportCells(&t, "HOST", "OPEN", "PORTS"))
		for _, a := range slices.SortedFunc(maps.Keys(f.listed), netip.Addr.Compare) {
			h := f.listed[a]
			slices.Sort(h.open)
			b.WriteString(reportCells(&t, a.String(), Grouped(uint64(len(h.open))), hostRemarks(h.open, len(h.open), h.hostname, h.suspect)))
		}
	}
	if f.hosts != 1 {
		b.WriteString(f.byPort(columns) + "\n")
	}
	fmt.Fprint(aside{v}, b.String())
}

func reportCells(t *table, address, open, rest string) string {
	line := fmt.Sprintf("%s  %6s  ", pad(address, t.address), open)
	if t.columns > 0 {
		rest = shorten(rest, t.columns-width(line))
	}
	return strings.TrimRight(line+rest, " ") + "\n"
}

// byPort is "1,024 hosts with open ports · 22: 1,024  80: 1,024", the most frequent ports first, as many as fit.
func (f *found) byPort(columns int) string {
	if columns == 0 {
		columns = 80
	}
	line := "open ports"
	if f.seen != nil {
		line = Count(f.hosts, "host", "hosts") + " with open ports"
	}
	line += " · "
	ports := slices.SortedFunc(maps.Keys(f.ports), func(x, y uint16) int {
		return cmp.Or(cmp.Compare(f.ports[y], f.ports[x]), cmp.Compare(x, y))
	})
	for i, p := range ports {
		word := fmt.Sprintf("%d: %s", p, Grouped(f.ports[p]))
		left := ""
		if n := len(ports) - i - 1; n > 0 {
			left = "  and " + Count(uint64(n), "more port", "more ports")
		}
		if i > 0 && width(line)+len("  ")+width(word)+width(left) > columns {
			return line + "  and " + Count(uint64(len(ports)-i), "more port", "more ports")
		}
		if i > 0 {
			line += "  "
		}
		line += word
	}
	return line
}
