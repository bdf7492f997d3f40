package screen

import (
	"fmt"
	"strings"
	"time"

	"synoptic/results"
)

// hostPortsShown is how many open ports a row of the host table names.
const hostPortsShown = 20

// Events has no row: an event is a message on standard error.
func (v *View) Events([]results.Event) error { return nil }

// Hosts formats a batch of host summaries as rows.
func (v *View) Hosts(batch []results.Host) error {
	for i := range batch {
		v.hostRow(&batch[i])
	}
	return v.Flush()
}

func (v *View) hostRow(h *results.Host) {
	var ports []string
	for _, p := range h.Open[:min(len(h.Open), hostPortsShown)] {
		ports = append(ports, fmt.Sprint(p))
	}
	if more := h.OpenCount - len(ports); more > 0 {
		ports = append(ports, fmt.Sprintf("and %d more", more))
	}
	line := fmt.Sprintf("%-15s  %5d open, %5d closed", h.Addr, h.OpenCount, h.ClosedCount)
	if h.HasRTT {
		line += fmt.Sprintf(", median %.2fms", float64(h.RTT)/float64(time.Millisecond))
	}
	if h.Suspect != 0 {
		line += ", suspect: " + h.Suspect.String()
	}
	if len(ports) > 0 {
		line += ": " + strings.Join(ports, " ")
	}
	v.rows.WriteString(line + "\n")
}
