package format

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// table writes a scan for people: a row for each port, host by host.
type table struct {
	grouped
	start results.ScanStart
}

// newTable groups the records by host, and writes them at the end of the scan: a line on the scan, a header, the ports by
// address and number, a line behind hosts that are not to be believed or of which only a summary is known, and a line on how
// the scan ended. Lines that begin with # are about the scan. Unlike the table on a terminal it has no colours and cuts
// nothing.
func newTable(w *Writer, o Options) Encoder { return &table{grouped: newGrouped(w, o)} }

func (t *table) Start(s *results.ScanStart) error {
	t.start = *s
	b := append(t.w.Buf(), "# "...)
	b = append(b, time.Time(s.Time).UTC().Format(time.DateTime)...)
	b = append(b, " UTC: "...)
	b = append(b, printable(commandLine(s))...)
	return t.w.Commit(append(b, '\n'), batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1})
}

func (t *table) End(s *results.ScanEnd) error {
	headed := false
	for g, err := range t.sort.hosts() {
		if err != nil {
			return err
		}
		b := t.w.Buf()
		last := int64(0)
		for p := range g.Ports() {
			if !headed {
				headed = true
				b = appendRow(b, "ADDRESS", "PORT", "STATE", "SERVICE", "REASON", "TTL", "RTT", "")
			}
			last = max(last, p.Time)
			b = appendTablePort(b, p, g.Hostname)
		}
		if h := g.Summary; h != nil {
			last = max(last, h.Last)
			b = appendTableHost(b, h)
		}
		if err := t.w.Commit(b, batch.Event{Time: last, Records: g.count}); err != nil {
			return err
		}
	}
	b := append(t.w.Buf(), "# "...)
	b = append(b, tableEnd(s)...)
	return t.w.Commit(append(b, '\n'), batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1})
}

// tableEnd says how a scan went.
func tableEnd(s *results.ScanEnd) string {
	outcome := "complete"
	if !s.Complete {
		outcome = printable(shortfall(s))
	}
	return fmt.Sprintf("%s: %d open, %d closed, %d filtered (%d no response), %s sent in %.1f s",
		outcome, s.Open, s.Closed, s.Filtered, s.NoResponse, plural(s.Sent, "probe", "probes"), s.Duration)
}

func appendTablePort(b []byte, p *results.Port, hostname string) []byte {
	var ttl, rtt string
	if p.TTL != 0 {
		ttl = strconv.Itoa(int(p.TTL))
	}
	if p.HasRTT {
		rtt = strconv.FormatInt(max(p.RTT, 0).Microseconds(), 10) + " µs"
	}
	var remarks []string
	if hostname != "" {
		remarks = append(remarks, hostname)
	}
	if p.Suspect != 0 {
		remarks = append(remarks, "suspect: "+p.Suspect.String())
	}
	if p.Verified == results.VerifyFalse {
		remarks = append(remarks, "no connection could be made")
	}
	if banner := strings.TrimSpace(string(p.Banner)); banner != "" {
		remarks = append(remarks, banner)
	}
	return appendRow(b, p.Addr.String(), strconv.Itoa(int(p.Port)), p.Reason.Label(), p.Service, p.Reason.String(), ttl, rtt, strings.Join(remarks, "  "))
}

// appendTableHost sums a host up.
func appendTableHost(b []byte, h *results.Host) []byte {
	b = fmt.Appendf(b, "# %s: %d open, %d closed", h.Addr, h.OpenCount, h.ClosedCount)
	if h.HasRTT {
		b = fmt.Appendf(b, ", median RTT %d µs", max(h.RTT, 0).Microseconds())
	}
	if h.Suspect != 0 {
		b = append(append(b, ", suspect: "...), h.Suspect.String()...)
	}
	return append(b, '\n')
}

// appendRow appends a line without blanks at its end.
func appendRow(b []byte, address, port, state, service, reason, ttl, rtt, remarks string) []byte {
	line := fmt.Sprintf("%-15s  %5s  %-11s  %-16s  %-12s  %3s  %9s  %s", address, port, state, printable(service), reason, ttl, rtt, printable(remarks))
	return append(append(b, strings.TrimRight(line, " ")...), '\n')
}

// printable is a text in which nothing ends a line early or is obeyed by a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
