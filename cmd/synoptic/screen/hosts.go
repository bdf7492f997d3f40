package screen

import (
	"fmt"
	"strings"

	"synoptic/results"
)

// Hosts formats a batch of host summaries as rows, under a header of their own.
func (v *View) Hosts(batch []results.Host) error {
	t := &v.table
	t.fit(columnsOf(v.Out))
	t.headed = false // rows of ports, should any follow, need theirs again
	if !v.hosts {
		v.hosts = true
		v.rows.WriteString(hostCells(t, "HOST", "OPEN", "CLOSED", "RTT", "OPEN PORTS"))
	}
	for i := range batch {
		v.hostRow(&batch[i])
	}
	return v.Flush()
}

func (v *View) hostRow(h *results.Host) {
	var rtt string
	if h.HasRTT {
		rtt = roundTrip(h.RTT)
	}
	v.rows.WriteString(hostCells(&v.table, h.Addr.String(), Grouped(uint64(h.OpenCount)), Grouped(uint64(h.ClosedCount)), rtt,
		hostRemarks(h.Open, h.OpenCount, h.Hostname, h.Suspect)))
}

// hostRTT is how wide a terminal is whose rows of hosts have a round trip.
const hostRTT = 60

// hostCells lays out a row that sums a host up. Its last cell is cut where the terminal ends.
func hostCells(t *table, address, open, closed, rtt, rest string) string {
	line := fmt.Sprintf("%s  %6s  %6s  ", pad(address, t.address), open, closed)
	if t.columns == 0 || t.columns >= hostRTT {
		line += pad(rtt, rttWidth) + gap
	}
	if t.columns > 0 {
		rest = shorten(rest, t.columns-width(line))
	}
	return strings.TrimRight(line+rest, " ") + "\n"
}

// hostPortsShown is how many open ports a row of a host names.
const hostPortsShown = 20

// hostRemarks are a host's open ports, and what else is to be said of it. Of the ports there may be more than are given.
func hostRemarks(open []uint16, count int, hostname string, suspect results.Suspect) string {
	var words []string
	for _, p := range open[:min(len(open), hostPortsShown)] {
		words = append(words, fmt.Sprint(p))
	}
	if more := count - len(words); more > 0 {
		words = append(words, fmt.Sprintf("and %s more", Grouped(uint64(more))))
	}
	text := strings.Join(words, " ")
	if hostname != "" {
		text += "  " + hostname
	}
	if suspect != 0 {
		text += "  suspect: " + suspect.String()
	}
	return Printable(strings.TrimSpace(text))
}
