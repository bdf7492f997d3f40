package screen

import (
	"fmt"
	"strings"
	"time"

	"synoptic/results"
)

// Start has nothing to show: begin has shown the plan.
func (v *View) Start(*results.ScanStart) error { return nil }

// Ports formats a batch of rows.
func (v *View) Ports(batch []results.Port) error {
	if !v.header {
		v.header = true
		fmt.Fprintf(&v.rows, "%-15s  %5s  %-11s  %-16s  %-12s  %3s  %s\n", "ADDRESS", "PORT", "STATE", "SERVICE", "REASON", "TTL", "RTT")
	}
	for i := range batch {
		v.row(&batch[i])
	}
	if v.rows.Len() > 1<<16 {
		return v.Flush()
	}
	return nil
}

func (v *View) row(p *results.Port) {
	state := fmt.Sprintf("%-11s", p.Reason.Label())
	if v.colour && p.Reason.State() == results.Open {
		state = "\x1b[32m" + state + "\x1b[0m"
	}
	var ttl, rtt string
	if p.TTL != 0 {
		ttl = fmt.Sprint(p.TTL)
	}
	if p.HasRTT {
		rtt = fmt.Sprintf("%.2fms", float64(p.RTT)/float64(time.Millisecond))
	}
	line := fmt.Sprintf("%-15s  %5d  %s  %-16s  %-12s  %3s  %s  %s", p.Addr, p.Port, state, p.Service, p.Reason, ttl, rtt, Printable(strings.Join(remarks(p), "  ")))
	v.rows.WriteString(strings.TrimRight(line, " ") + "\n")
}

// remarks are what a row says besides its columns.
func remarks(p *results.Port) (words []string) {
	if p.Hostname != "" {
		words = append(words, p.Hostname)
	}
	if p.Suspect != 0 {
		words = append(words, "suspect: "+p.Suspect.String())
	}
	if p.Verified == results.VerifyFalse {
		words = append(words, "no connection could be made")
	}
	if banner := strings.TrimSpace(string(p.Banner)); banner != "" {
		words = append(words, banner)
	}
	return words
}

// Flush writes the rows, with the progress line out of their way.
func (v *View) Flush() error {
	if v.rows.Len() == 0 {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.progress != "" {
		fmt.Fprint(v.err, eraseLine)
	}
	_, err := v.out.Write(v.rows.Bytes())
	v.rows.Reset()
	if v.progress != "" {
		fmt.Fprint(v.err, v.progress)
	}
	if err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	return nil
}

// End writes the last rows.
func (v *View) End(*results.ScanEnd) error { return v.Flush() }

// Close leaves the terminal as it was.
func (v *View) Close() error { return nil }
