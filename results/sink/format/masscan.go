package format

import (
	"strconv"
	"strings"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// What masscan-json and masscan-list have in common: masscan's words, as masscan 1.3.2 writes them.
//
// Masscan knows ports that are open and ports that are closed, no others, and takes an ICMP port
// unreachable for closed. Records of other filtered ports, of the scan and of hosts have no place here
// and are left out. Our RST is its "rst-ack": a SYN is refused with both flags (RFC 9293 section 3.10.7.1). A
// banner is a record of its own behind that of its port, with the protocol that it shows, or "unknown".

// masscanWords are masscan's status and reason; ok is false where it has none.
func masscanWords(r results.Reason) (status, reason string, ok bool) {
	switch r {
	case results.SYNACK, results.Connect:
		return "open", "syn-ack", true
	case results.RST, results.Refused:
		return "closed", "rst-ack", true
	case results.ICMPPortUnreachable:
		return "closed", "none", true
	}
	return "", "", false
}

// masscanProtocol is masscan's name of the protocol that a banner shows (its masscan-app.c); of one that it does not
// know, ours. A record from elsewhere may say anything: what is no word is unknown.
func masscanProtocol(p *results.Port) string {
	switch name := p.Detected(); {
	case name == "pop3":
		return "pop"
	case name != "" && len(name) < 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == "":
		return name
	}
	return "unknown"
}

// masscanEscape writes a banner as masscan does: what is not printable ASCII, or has a meaning in HTML or
// JSON, as prefix and two hex digits.
func masscanEscape(b, banner []byte, prefix string) []byte {
	for _, c := range banner {
		switch {
		case c < ' ', c >= 0x7f, c == '<', c == '>', c == '&', c == '\\', c == '"', c == '\'':
			b = appendHex(b, prefix, c, lowerHex)
		default:
			b = append(b, c)
		}
	}
	return b
}

// masscanJSON is masscan's -oJ: one array in the whole output.
type masscanJSON struct {
	w    *Writer
	some bool // a record is written
}

// newMasscanJSON writes what masscan -oJ writes, byte for byte but for the times and the order. One
// thing differs, for the output to be valid JSON always: where nothing is found masscan leaves its file empty, and
// this is an empty array.
func newMasscanJSON(w *Writer, _ Options) Encoder { return &masscanJSON{w: w} }

func (m *masscanJSON) Start(s *results.ScanStart) error {
	return m.w.Commit(append(m.w.Buf(), "[\n"...), batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1})
}

func (m *masscanJSON) Ports(ports []results.Port) error {
	omitted := 0
	for i := range ports {
		p := &ports[i]
		status, reason, ok := masscanWords(p.Reason)
		if !ok {
			omitted++
			continue
		}
		b := m.begin(p)
		b = append(b, `"status": "`...)
		b = append(b, status...)
		b = append(b, `", "reason": "`...)
		b = append(b, reason...)
		b = append(b, `", "ttl": `...)
		b = strconv.AppendUint(b, uint64(p.TTL), 10)
		if err := m.w.Commit(append(b, "} ] }\n"...), batch.Event{Time: p.Time, Records: 1}); err != nil {
			return err
		}
		if len(p.Banner) == 0 {
			continue
		}
		b = append(m.begin(p), `"service": {"name": "`...)
		b = append(b, masscanProtocol(p)...)
		b = append(b, `", "banner": "`...)
		b = masscanEscape(b, p.Banner, `\u00`)
		if err := m.w.Commit(append(b, "\"} } ] }\n"...), batch.Event{Time: p.Time}); err != nil {
			return err
		}
	}
	return m.w.omit(omitted)
}

// begin writes a record up to its protocol.
func (m *masscanJSON) begin(p *results.Port) []byte {
	b := m.w.Buf()
	if m.some {
		b = append(b, ",\n"...)
	}
	m.some = true
	b = append(b, `{   "ip": "`...)
	b = p.Addr.AppendTo(b)
	b = append(b, `",   "timestamp": "`...)
	b = strconv.AppendInt(b, p.Time/int64(time.Second), 10)
	b = append(b, `", "ports": [ {"port": `...)
	b = strconv.AppendUint(b, uint64(p.Port), 10)
	return append(b, `, "proto": "tcp", `...)
}

func (m *masscanJSON) Events(events []results.Event) error { return m.w.omit(len(events)) }

// Notices writes nothing, as Events.
func (m *masscanJSON) Notices(notices []results.Notice) error { return m.w.omit(len(notices)) }

func (m *masscanJSON) Hosts(hosts []results.Host) error { return m.w.omit(len(hosts)) }

func (m *masscanJSON) End(s *results.ScanEnd) error {
	return m.w.Commit(append(m.w.Buf(), "]\n"...), batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1})
}

func (*masscanJSON) Close() error { return nil }

// masscanList is masscan's -oL.
type masscanList struct {
	w    *Writer
	some bool // the header is written
}

// newMasscanList writes what masscan -oL writes, byte for byte but for the times and the order: nothing at all
// where nothing is found.
func newMasscanList(w *Writer, _ Options) Encoder { return &masscanList{w: w} }

func (m *masscanList) Start(*results.ScanStart) error { return m.w.omit(1) }

func (m *masscanList) Ports(ports []results.Port) error {
	omitted := 0
	for i := range ports {
		p := &ports[i]
		status, _, ok := masscanWords(p.Reason)
		if !ok {
			omitted++
			continue
		}
		if !m.some {
			m.some = true
			if err := m.w.Commit(append(m.w.Buf(), "#masscan\n"...), batch.Event{Time: p.Time}); err != nil {
				return err
			}
		}
		if err := m.w.Commit(append(m.line(status, p), '\n'), batch.Event{Time: p.Time, Records: 1}); err != nil {
			return err
		}
		if len(p.Banner) == 0 {
			continue
		}
		b := append(append(m.line("banner", p), ' '), masscanProtocol(p)...)
		b = masscanEscape(append(b, ' '), p.Banner, `\x`)
		if err := m.w.Commit(append(b, '\n'), batch.Event{Time: p.Time}); err != nil {
			return err
		}
	}
	return m.w.omit(omitted)
}

func (m *masscanList) line(word string, p *results.Port) []byte {
	b := append(m.w.Buf(), word...)
	b = append(b, " tcp "...)
	b = strconv.AppendUint(b, uint64(p.Port), 10)
	b = append(b, ' ')
	b = p.Addr.AppendTo(b)
	b = append(b, ' ')
	return strconv.AppendInt(b, p.Time/int64(time.Second), 10)
}

func (m *masscanList) Events(events []results.Event) error { return m.w.omit(len(events)) }

// Notices writes nothing, as Events.
func (m *masscanList) Notices(notices []results.Notice) error { return m.w.omit(len(notices)) }

func (m *masscanList) Hosts(hosts []results.Host) error { return m.w.omit(len(hosts)) }

func (m *masscanList) End(s *results.ScanEnd) error {
	if !m.some {
		return m.w.omit(1)
	}
	m.some = false
	return m.w.Commit(append(m.w.Buf(), "# end\n"...), batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1})
}

func (*masscanList) Close() error { return nil }
