package screen

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"synoptic/results"
	"synoptic/results/sink/vfs"
	"synoptic/scan/plan"
)

// Widths of columns.
const (
	addressWidth = 15 // of IPv4
	serviceWidth = 16
	remarksWidth = 24 // at least, where there are remarks
	// leastService is the width from which on a service that is cut is worth a column.
	leastService = 6
	rttWidth     = len("100 ms")
	gap          = "  "
)

// table is how rows fit the terminal. What there is no room for is left out, the least telling first: TTL, REASON, RTT,
// remarks, SERVICE.
type table struct {
	columns int // of the terminal; 0: it has no limit
	address int
	state   int
	remarks bool // are to be expected

	service, reason int // widths; 0: left out
	ttl, rtt        bool
	spare           int // columns that are left
	headed          bool
}

// begin knows what is going to be shown.
func (t *table) begin(p *plan.Plan) {
	t.address = addressWidth
	for r := range p.Space.Addrs().Ranges() {
		t.address = max(t.address, len(r.From().String()), len(r.To().String()))
	}
	t.state = stateWidth(p.Asked.Show)
	t.remarks = p.Asked.Verify
}

// stateWidth is the length of the longest label of some states.
func stateWidth(show results.State) int {
	switch {
	case show&results.Filtered != 0:
		return len("unreachable")
	case show&results.Unknown != 0:
		return len("unknown")
	case show&results.Closed != 0:
		return len("closed")
	}
	return len("STATE")
}

// reasonWidth is how wide the column REASON is where the states have labels of such a length. Some reasons are longer, and
// take what is spare.
func reasonWidth(state int) int {
	if state <= stateWidth(results.Closed) {
		return len("syn-ack")
	}
	return len("no-response")
}

// fit chooses the columns for a terminal of so many.
func (t *table) fit(columns int) {
	if t.address == 0 { // it has not begun
		t.address, t.state = addressWidth, stateWidth(results.Filtered)
	}
	if columns == t.columns && t.headed {
		return
	}
	t.columns, t.headed = columns, false
	left := columns - t.address - t.state - len("PORT") - 1 - 2*len(gap)
	if columns == 0 {
		left = 1 << 16
	}
	take := func(width int) bool {
		if left < width+len(gap) {
			return false
		}
		left -= width + len(gap)
		return true
	}
	t.service = min(serviceWidth, left-len(gap))
	if t.service < leastService || !take(t.service) {
		t.service = 0
	}
	if t.remarks && !take(remarksWidth) {
		left = 0
	}
	t.rtt = take(rttWidth)
	t.reason = reasonWidth(t.state)
	if !take(t.reason) {
		t.reason = 0
	}
	t.ttl = t.reason > 0 && take(len("TTL"))
	t.spare = max(left, 0)
}

// row lays out the cells of a row. Behind them come remarks, as far as there is room.
func (t *table) row(address, port, state, colour, service, reason, ttl, rtt string, remarks []string) string {
	painted := pad(state, t.state)
	if colour != "" {
		painted = colour + painted + unset
	}
	cells := []string{pad(address, t.address), fmt.Sprintf("%5s", port), painted}
	used := max(width(address), t.address) + 5 + t.state + 2*len(gap)
	add := func(shown bool, text string, columns int) {
		if shown {
			cells = append(cells, pad(text, columns))
			used += max(width(text), columns) + len(gap)
		}
	}
	add(t.service > 0, shorten(service, max(t.service, 1)), t.service)
	add(t.reason > 0, shorten(reason, t.reason+t.spare), t.reason)
	add(t.ttl, ttl, len("TTL"))
	add(t.rtt, rtt, rttWidth)
	if text := strings.Join(remarks, gap); text != "" {
		if left := t.columns - used - len(gap); t.columns == 0 {
			cells = append(cells, text)
		} else if left > 1 {
			cells = append(cells, shorten(text, left))
		}
	}
	return strings.TrimRight(strings.Join(cells, gap), " ") + "\n"
}

// Start has nothing to show: Begin has shown the plan.
func (v *View) Start(*results.ScanStart) error { return nil }

// Ports formats a batch of rows.
func (v *View) Ports(batch []results.Port) error {
	t := &v.table
	if !t.remarks {
		t.remarks = slices.ContainsFunc(batch, func(p results.Port) bool { return p.Hostname != "" })
	}
	t.fit(columnsOf(v.Out))
	if !t.headed {
		t.headed = true
		v.rows.WriteString(t.row("ADDRESS", "PORT", "STATE", "", "SERVICE", "REASON", "TTL", "RTT", nil))
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
	var colour, ttl, rtt string
	if v.colour {
		colour = colourOf(p)
	}
	if p.TTL != 0 {
		ttl = fmt.Sprint(p.TTL)
	}
	if p.HasRTT {
		rtt = roundTrip(p.RTT)
	}
	remarks := remarks(p)
	for i := range remarks {
		remarks[i] = Printable(remarks[i])
	}
	v.rows.WriteString(v.table.row(p.Addr.String(), fmt.Sprint(p.Port), p.Reason.Label(), colour, Printable(p.Service), p.Reason.String(), ttl, rtt, remarks))
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
		fmt.Fprint(v.Err, eraseLine)
	}
	_, err := vfs.Write(context.Background(), v.Out, v.rows.Bytes())
	v.rows.Reset()
	if v.progress != "" {
		fmt.Fprint(v.Err, v.progress)
	}
	if err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	return nil
}

// Events has no row: an event is a message on standard error.
func (v *View) Events([]results.Event) error { return nil }

// Notices shows nothing: they are for programs that compare scans.
func (v *View) Notices([]results.Notice) error { return nil }

// End writes the last rows.
func (v *View) End(*results.ScanEnd) error { return v.Flush() }

// Close leaves the terminal as it was.
func (v *View) Close() error { return nil }
