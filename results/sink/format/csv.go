package format

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// csvFields is the header. Up to "timestamp-us" the names, and what they mean, are zmap's (zmap
// --list-output-fields, version 2.1.1; version 3 writes an underscore for the hyphen); the others are those of our JSON lines.
const csvFields = "saddr,sport,daddr,dport,classification,success,ttl,window,timestamp-str,timestamp-ts,timestamp-us," +
	"state,reason,service,range,rtt_us,attempt,mss,router,hostname,iface,suspect,verified,banner,scan_id,event_id,service_source,detected,tags"

// csvRows writes one line for each port.
type csvRows struct {
	w      *Writer
	fresh  bool
	scanID string
}

// newCSV writes RFC 4180's format, with LF for a line end as zmap does, and a header where the output is new. An
// unknown value is an empty field. saddr and sport are the port that was asked, also where a router
// answered for it: that is the field router. Records of the scan and of hosts have no line.
func newCSV(w *Writer, o Options) Encoder { return &csvRows{w: w, fresh: o.Fresh} }

func (c *csvRows) Start(s *results.ScanStart) error {
	c.scanID = s.ScanID
	if !c.fresh {
		return c.w.omit(1)
	}
	c.fresh = false
	return c.w.Commit(append(c.w.Buf(), csvFields+"\n"...), batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1})
}

func (c *csvRows) Ports(ports []results.Port) error {
	for i := range ports {
		p := &ports[i]
		e := batch.Event{Time: p.Time, Records: 1, ID: p.EventID(c.scanID)}
		if err := c.w.Commit(c.appendRow(c.w.Buf(), p, e.ID), e); err != nil {
			return err
		}
	}
	return nil
}

func (c *csvRows) appendRow(b []byte, p *results.Port, id results.EventID) []byte {
	open := p.Reason.State() == results.Open
	b = append(p.Addr.AppendTo(b), ',')
	b = append(strconv.AppendUint(b, uint64(p.Port), 10), ',')
	b = appendAddrField(b, p.Source)
	b = appendKnown(b, uint64(p.SourcePort), p.SourcePort != 0)
	b = append(b, zmapClass(p.Reason)...)
	if open {
		b = append(b, ",1,"...)
	} else {
		b = append(b, ",0,"...)
	}
	b = appendKnown(b, uint64(p.TTL), p.TTL != 0)
	b = appendKnown(b, uint64(p.Window), p.Reason == results.SYNACK)
	at := time.Unix(0, p.Time).UTC()
	b = at.AppendFormat(b, "2006-01-02T15:04:05.000-0700,")
	b = append(strconv.AppendInt(b, at.Unix(), 10), ',')
	b = append(strconv.AppendInt(b, int64(at.Nanosecond()/1000), 10), ',')
	b = append(append(b, p.Reason.Label()...), ',')
	b = append(append(b, p.Reason.String()...), ',')
	b = append(appendCSV(b, p.Service), ',')
	b = append(append(b, p.Range()...), ',')
	b = appendKnown(b, uint64(max(p.RTT, 0)/time.Microsecond), p.HasRTT)
	b = appendKnown(b, uint64(p.Attempt), p.Attempt != 0)
	b = appendKnown(b, uint64(p.MSS), p.MSS != 0)
	b = appendAddrField(b, p.Router)
	b = append(appendCSV(b, p.Hostname), ',')
	b = append(appendCSV(b, p.Iface), ',')
	if p.Suspect != 0 {
		b = appendCSV(b, p.Suspect.String())
	}
	b = append(b, ',')
	if p.Verified != results.VerifyNone {
		b = strconv.AppendBool(b, p.Verified == results.VerifyTrue)
	}
	b = append(b, ',')
	if len(p.Banner) > 0 { // as in C, so that a row is one line whatever a server says
		b = append(b, '"')
		b = appendBannerCSV(b, p.Banner)
		b = append(b, '"')
	}
	b = append(b, ',')
	b = append(appendCSV(b, c.scanID), ',')
	b = append(id.AppendTo(b), ',')
	b = append(append(b, p.ServiceSource.String()...), ',')
	b = append(appendCSV(b, p.Detected()), ',')
	b = appendCSV(b, string(p.Tags))
	return append(b, '\n')
}

// zmapClass is zmap's name for the kind of packet that answered, or "none".
func zmapClass(r results.Reason) string {
	switch r {
	case results.SYNACK, results.Connect:
		return "synack"
	case results.RST, results.Refused:
		return "rst"
	case results.NoResponse, results.NoARP, results.Timeout, results.ReasonNone:
		return "none"
	}
	return "icmp"
}

// appendKnown appends a number, or nothing, and a comma.
func appendKnown(b []byte, v uint64, known bool) []byte {
	if known {
		b = strconv.AppendUint(b, v, 10)
	}
	return append(b, ',')
}

// appendCSV appends a field, in quotes where RFC 4180 section 2 asks for them. A control character becomes a space, so
// that a row is one line whatever a name from outside has in it.
func appendCSV(b []byte, s string) []byte {
	s = plain(s)
	if !strings.ContainsAny(s, ",\"") {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// appendBannerCSV appends bytes of unknown encoding inside of quotes, what is not printable ASCII as \xHH and
// a backslash doubled. What a spreadsheet would take for the beginning of a formula is written as \xHH too.
func appendBannerCSV(b, banner []byte) []byte {
	for i, c := range banner {
		switch {
		case c < ' ' || c >= 0x7f || i == 0 && (c == '=' || c == '+' || c == '-' || c == '@'):
			b = appendHex(b, `\x`, c, lowerHex)
		case c == '"' || c == '\\':
			b = append(b, c, c)
		default:
			b = append(b, c)
		}
	}
	return b
}

func (c *csvRows) Events(events []results.Event) error { return c.w.omit(len(events)) }

// Notices writes nothing, as Events.
func (c *csvRows) Notices(notices []results.Notice) error { return c.w.omit(len(notices)) }
func (c *csvRows) Hosts(hosts []results.Host) error       { return c.w.omit(len(hosts)) }
func (c *csvRows) End(*results.ScanEnd) error             { return c.w.omit(1) }
func (*csvRows) Close() error                             { return nil }

func appendAddrField(b []byte, a netip.Addr) []byte {
	if a.IsValid() {
		b = a.AppendTo(b)
	}
	return append(b, ',')
}
