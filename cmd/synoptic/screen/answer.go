package screen

import (
	"fmt"
	"io"
	"strings"
	"time"

	"synoptic/scan"
	"synoptic/scan/control"
)

// WriteAnswer writes what a scan has answered to a person.
func WriteAnswer(w io.Writer, a *control.Answer) {
	switch {
	case a.Status != nil:
		for _, row := range statusRows(a.Status) {
			fmt.Fprintf(w, "%-10s %s\n", row[0], Printable(row[1]))
		}
	case a.Rate != nil:
		fmt.Fprintln(w, rateWords(a.Rate))
	case a.Excluded != nil && a.Addresses == 0:
		fmt.Fprintln(w, "excluded; none of it was among the targets")
	case a.Excluded != nil:
		fmt.Fprintf(w, "excluded: %s of the targets, %s\n", Count(a.Addresses, "address", "addresses"), Count(a.Probes, "port", "ports"))
	case a.Paused != nil && *a.Paused:
		fmt.Fprintln(w, "paused: nothing is sent until resume")
	case a.Paused != nil:
		fmt.Fprintln(w, "going on")
	case a.Requested != nil:
		fmt.Fprintf(w, "%s asked now\n", Count(uint64(*a.Requested), "port is", "ports are"))
	case a.Monitor != nil:
		for _, row := range monitorRows(a.Monitor) {
			fmt.Fprintf(w, "%-10s %s\n", row[0], Printable(row[1]))
		}
	}
}

func rateWords(r *control.Rate) string {
	words := "rate " + perSecond(r.PPS)
	if r.Asked > r.PPS {
		return words + ", the most that this scan was planned for"
	}
	return words + fmt.Sprintf(" (%s to %s are possible)", perSecond(r.Min), perSecond(r.Max))
}

// statusRows are a name and what is said of it each.
func statusRows(s *scan.Status) (rows [][2]string) {
	row := func(name, format string, args ...any) {
		rows = append(rows, [2]string{name, fmt.Sprintf(format, args...)})
	}
	p := scan.Progress{Phase: s.Phase, Total: s.ToProbe, Done: s.Probed}
	row("scan", "%s, by %s, for %s so far", s.ScanID, s.Backend, Clock(Seconds(s.Elapsed)))
	switch {
	case s.Over:
		row("phase", "over: outputs are delivered to")
	case s.Phase == scan.PhaseResolve:
		row("phase", "resolving MAC addresses")
	default:
		words := fmt.Sprintf("%s, %.1f%% of %s", s.Phase, percent(&p), toProbe(s.ToProbe))
		if s.Left != nil {
			words += ", " + Clock(Seconds(*s.Left)) + " left"
		}
		row("phase", "%s", words)
	}
	if s.Paused {
		row("paused", "by synoptic ctl; %s in all", Clock(Seconds(s.PausedS)))
	}
	if s.Outage != "" {
		row("outage", "waiting for %s", s.Outage)
	}
	row("rate", "%s set, %s achieved, at most %s", perSecond(s.Rate), perSecond(s.Achieved), perSecond(s.MaxRate))
	row("limit", "%s, by %s", perSecond(s.Limit), s.LimitedBy)
	if s.Capacity > 0 {
		row("capacity", "about %s", perSecond(s.Capacity))
	}
	row("sent", "%s, %s", Count(s.Sent, "probe", "probes"), Count(s.Retransmitted, "of them a retry", "of them retries"))
	row("found", "%s, %s closed, %s filtered, %s unknown", openWords(s.Open), Grouped(s.Closed), Grouped(s.Filtered), Grouped(s.Unknown))
	if s.ExcludedLive > 0 {
		row("excluded", "%s not probed for that", Count(s.ExcludedLive, "port", "ports"))
	}
	if s.Beacons.Sent > 0 {
		row("beacons", "%s sent, %s answered, %s lost", Grouped(s.Beacons.Sent), Grouped(s.Beacons.Answered), Grouped(s.Beacons.Lost))
	}
	if s.Outages > 0 {
		row("outages", "%d, %s in all", s.Outages, Clock(Seconds(s.Without)))
	}
	if s.RxDrops+s.IfaceDrops > 0 {
		row("drops", "%s replies unread, %s frames of the interfaces", Grouped(s.RxDrops), Grouped(s.IfaceDrops))
	}
	for _, d := range s.Outputs {
		words := []string{Grouped(d.Delivered) + " delivered"}
		for _, w := range []struct {
			n    uint64
			word string
		}{{d.Queued + d.Held, "waiting"}, {d.Dead, "dead"}, {d.Lost, "lost"}} {
			if w.n > 0 {
				words = append(words, Grouped(w.n)+" "+w.word)
			}
		}
		row("output", "%s: %s", d.Output, strings.Join(words, ", "))
	}
	return rows
}

// monitorRows say how a monitor does.
func monitorRows(m *control.Monitored) (rows [][2]string) {
	row := func(name, format string, args ...any) {
		rows = append(rows, [2]string{name, fmt.Sprintf(format, args...)})
	}
	row("watched", "%s, %s open; %s older than is wanted, the oldest asked %s ago", Count(m.Endpoints, "port", "ports"), Grouped(m.Open), Grouped(m.Overdue), Clock(time.Duration(m.OldestS)*time.Second))
	row("rate", "%s of %s", perSecond(m.UsedPPS), perSecond(m.BudgetPPS))
	row("cycle", "%s done, and %.1f%% of the present one", Grouped(m.Cycles), 100*m.CycleDone)
	row("changes", "%s; %s being made sure of", Grouped(m.Changes), Grouped(m.Unconfirmed))
	switch {
	case m.Stopped:
		row("paused", "by the stop file")
	case m.Paused:
		row("paused", "by synoptic ctl")
	case m.Outage != "":
		row("outage", "waiting for %s", m.Outage)
	case !m.Asking:
		row("outage", "no probe can be sent")
	}
	if m.DarkNetworks > 0 {
		row("dark", "%s, of which much is silent", Count(uint64(m.DarkNetworks), "network", "networks"))
	}
	return rows
}
