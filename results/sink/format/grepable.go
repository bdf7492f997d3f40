package format

import (
	"strconv"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// grepable writes a scan as nmap's -oG does, one host on a line.
type grepable struct {
	grouped
	start results.ScanStart
	host  nmapHost
}

// newGrepable groups the records by host, and writes them at the end of the scan: a line "Status", and for hosts
// with ports a line "Ports" with port/state/protocol/owner/service/RPC/version. Ports of a state that has more
// than 25 of them are summed up in "Ignored State", as nmap does; where two states are, nmap tells of none.
func newGrepable(w *Writer, o Options) Encoder {
	return &grepable{grouped: newGrouped(w, o)}
}

func (e *grepable) Start(s *results.ScanStart) error {
	e.start = *s
	at := time.Time(s.Time)
	b := append(e.w.Buf(), "# Synoptic "...)
	b = appendField(b, s.Version, false)
	b = append(b, " scan initiated "...)
	b = append(b, nmapTime(at)...)
	b = append(b, " as: "...)
	b = appendField(b, commandLine(s), false)
	return e.w.Commit(append(b, '\n'), batch.Event{Time: at.UnixNano(), ID: s.EventID(), Records: 1})
}

func (e *grepable) End(s *results.ScanEnd) error {
	var up, listed uint64
	for g, err := range e.sort.hosts() {
		if err != nil {
			return err
		}
		listed++
		e.host.sum(g)
		if e.host.state == "up" {
			up++
		}
		if err := e.writeHost(g); err != nil {
			return err
		}
	}
	b := append(e.w.Buf(), "# Synoptic done at "...)
	b = append(b, nmapTime(time.Time(s.Time))...)
	b = append(b, " -- "...)
	b = append(b, nmapDone(s, max(e.start.Targets, listed), up)...)
	switch {
	case s.Complete:
	case s.Error != "":
		b = append(b, "; stopped before the end: "...)
		b = appendField(b, s.Error, false)
	default:
		b = append(b, "; "...)
		b = append(b, shortfall(s)...)
	}
	return e.w.Commit(append(b, '\n'), batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1})
}

func (e *grepable) writeHost(g *hostGroup) error {
	h := &e.host
	b := appendGrepableHost(e.w.Buf(), g)
	if h.state == "up" {
		b = append(b, "Status: Up\n"...)
	} else {
		b = append(b, "Status: Down\n"...)
	}
	if err := e.w.Commit(b, batch.Event{Time: h.last}); err != nil {
		return err
	}
	b = appendGrepableHost(e.w.Buf(), g)
	b = append(b, "Ports: "...)
	ports := 0
	for p := range g.Ports() {
		if !h.shows(p) {
			continue
		}
		if ports++; ports > 1 {
			b = append(b, ", "...)
		}
		b = strconv.AppendUint(b, uint64(p.Port), 10)
		b = append(b, '/')
		b = append(b, nmapState(p.Reason)...)
		b = append(b, "/tcp//"...)
		b = appendField(b, p.Service, true)
		b = append(b, "///"...)
	}
	if len(h.extra) == 1 {
		b = append(b, "\tIgnored State: "...)
		b = append(b, h.extra[0].state...)
		b = append(b, " ("...)
		b = strconv.AppendInt(b, int64(h.extra[0].count), 10)
		b = append(b, ')')
	}
	if ports == 0 && len(h.extra) == 0 { // a summary of a host of which no port is shown
		return e.w.omit(g.count)
	}
	return e.w.Commit(append(b, '\n'), batch.Event{Time: h.last, Records: g.count})
}

func appendGrepableHost(b []byte, g *hostGroup) []byte {
	b = append(b, "Host: "...)
	b = g.Addr.AppendTo(b)
	b = append(b, " ("...)
	b = appendField(b, g.Hostname, false)
	return append(b, ")\t"...)
}

// appendField appends text that stays in its field: no control character ends a line or a field early, and
// in the list of ports a slash becomes a bar, as with nmap, and a comma a semicolon.
func appendField(b []byte, s string, inPort bool) []byte {
	s = plain(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '/' && inPort:
			b = append(b, '|')
		case c == ',' && inPort:
			b = append(b, ';')
		default:
			b = append(b, c)
		}
	}
	return b
}
