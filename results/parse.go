package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"
)

// maxName is how long the names in somebody else's record may be, of hosts, services and interfaces: bytes as JSON has them.
// Lists that are too long for a line of 4 KB are cut.
const maxName = 300

var errNoPort = errors.New("0 is no port")

// parser turns lines into records, and keeps what one line has in common with the next.
type parser struct {
	scanID string            // of the last record
	second []byte            // of the last time, with its dot: "2026-11-22T10:12:13."
	unix   int64             // that second, nanoseconds since the Unix epoch
	source []byte            // the last of our own addresses as text
	addr   netip.Addr        // and as an address
	names  map[string]string // of services, interfaces and hosts: many records share few

	tagSets map[string]Tags // by their JSON, likewise
}

// maxScanID bounds the ID of a scan, in bytes: ours has 32, and stands in every record.
const maxScanID = 64

// maxNames bounds what is kept of names.
const maxNames = 8192

// What a record of a port, a host or an event must have, as bits.
const (
	hasTime = 1 << iota
	hasScanID
	hasAddr
	hasPort
	hasReason
	hasFirst
	hasKind

	portNeeds  = hasTime | hasScanID | hasAddr | hasPort | hasReason
	hostNeeds  = hasTime | hasScanID | hasAddr | hasFirst
	eventNeeds = hasTime | hasScanID | hasKind
)

// missing names the first field that is needed and was not there.
func missing(has, needs int) error {
	names := [...]string{"ts", "scan_id", "ip", "port", "reason", "first", "event"}
	for i, name := range names {
		if needs&^has&(1<<i) != 0 {
			return fmt.Errorf("no field %q", name)
		}
	}
	return nil
}

// fields calls f for every field of a record that is not null, and says which one f has something against.
func fields(line []byte, f func(name []byte, v value) error) error {
	for l := (lexer{b: line}); ; {
		name, v, err := l.next()
		if err != nil || name == nil {
			return err
		}
		if v.null() {
			continue
		}
		if err := f(name, v); err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
	}
}

// port is the inverse of Port.AppendJSON. What follows from other fields (event_id, range) is not
// read; fields that are not known are left alone. The banner's memory is used again.
func (r *parser) port(line []byte, p *Port) error {
	*p = Port{Banner: p.Banner[:0]}
	has := 0
	var state []byte
	err := fields(line, func(name []byte, v value) (err error) {
		var n uint64
		switch string(name) {
		case "ts":
			has |= hasTime
			p.Time, err = r.time(v)
		case "scan_id":
			has |= hasScanID
			err = r.scan(v)
		case "ip":
			has |= hasAddr
			p.Addr, err = address(v)
		case "port":
			has |= hasPort
			if n, err = v.uint(math.MaxUint16); err == nil && n == 0 {
				err = errNoPort
			}
			p.Port = uint16(n)
		case "proto":
			if string(v.raw) != `"tcp"` {
				err = fmt.Errorf("%.20s is not \"tcp\"", v.raw)
			}
		case "state":
			state, err = v.text()
		case "reason":
			has |= hasReason
			p.Reason, err = reasonOf(v)
		case "hostname":
			p.Hostname, err = r.name(v)
		case "hostnames":
			err = hostnames(&p.Hostnames).list(v)
		case "hostnames_left_out":
			err = hostnames(&p.Hostnames).leftOut(v)
		case "service":
			p.Service, err = r.name(v)
		case "service_source": // detected follows from it
			p.ServiceSource, err = serviceSource(v)
		case "mac":
			p.MAC, err = macOf(v)
		case "router":
			p.Router, err = address(v)
		case "ttl":
			n, err = v.uint(math.MaxUint8)
			p.TTL = uint8(n)
		case "rtt_us":
			p.RTT, err = microseconds(v)
			p.HasRTT = true
		case "attempt":
			n, err = v.uint(math.MaxUint8)
			p.Attempt = uint8(n)
		case "window":
			n, err = v.uint(math.MaxUint16)
			p.Window = uint16(n)
		case "mss":
			n, err = v.uint(math.MaxUint16)
			p.MSS = uint16(n)
		case "src_ip":
			if !bytes.Equal(v.raw, r.source) {
				r.addr, err = address(v)
				r.source = append(r.source[:0], v.raw...)
				if err != nil {
					r.source = r.source[:0]
				}
			}
			p.Source = r.addr
		case "src_port":
			n, err = v.uint(math.MaxUint16)
			p.SourcePort = uint16(n)
		case "iface":
			p.Iface, err = r.name(v)
		case "suspect":
			p.Suspect, err = suspects(v)
		case "verified":
			var ok bool
			ok, err = v.bool()
			p.Verified = VerifyFalse
			if ok {
				p.Verified = VerifyTrue
			}
		case "banner":
			p.Banner, err = parseBanner(p.Banner[:0], v)
		case "tags":
			p.Tags, err = r.tags(v)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := missing(has, portNeeds); err != nil {
		return err
	}
	p.Banner = p.Banner[:min(len(p.Banner), MaxBanner)]
	p.Hostnames = p.Hostnames.Within(roomHostnames)
	if state != nil && string(state) != p.Reason.Label() {
		return fmt.Errorf("state %.20q does not go with reason %q", state, p.Reason)
	}
	return nil
}

// host is the inverse of Host.AppendJSON, as port is of Port's. The list's memory is used again.
func (r *parser) host(line []byte, h *Host) error {
	*h = Host{Open: h.Open[:0]}
	has := 0
	err := fields(line, func(name []byte, v value) (err error) {
		var n uint64
		switch string(name) {
		case "scan_id":
			has |= hasScanID
			err = r.scan(v)
		case "ip":
			has |= hasAddr
			h.Addr, err = address(v)
		case "hostname":
			h.Hostname, err = r.name(v)
		case "hostnames":
			err = hostnames(&h.Hostnames).list(v)
		case "hostnames_left_out":
			err = hostnames(&h.Hostnames).leftOut(v)
		case "mac":
			h.MAC, err = macOf(v)
		case "open_ports":
			err = json.Unmarshal(v.raw, &h.Open)
			slices.Sort(h.Open)
			h.Open = slices.Compact(h.Open)
			if err == nil && len(h.Open) > 0 && h.Open[0] == 0 {
				err = errNoPort
			}
		case "open":
			n, err = v.uint(math.MaxInt32)
			h.OpenCount = int(n)
		case "closed":
			n, err = v.uint(math.MaxInt32)
			h.ClosedCount = int(n)
		case "first":
			has |= hasFirst
			h.First, err = r.time(v)
		case "last": // ts says the same
			has |= hasTime
			h.Last, err = r.time(v)
		case "rtt_us":
			h.RTT, err = microseconds(v)
			h.HasRTT = true
		case "suspect":
			h.Suspect, err = suspects(v)
		case "tags":
			h.Tags, err = r.tags(v)
		}
		return err
	})
	if err != nil {
		return err
	}
	h.OpenCount = max(h.OpenCount, len(h.Open))
	h.Open = h.Open[:min(len(h.Open), MaxHostPorts)]
	h.Hostnames = h.Hostnames.Within(roomHostnames)
	return missing(has, hostNeeds)
}

// scan notes the scan that the record is of.
func (r *parser) scan(v value) error {
	id, err := v.text()
	if err == nil && len(id) == 0 {
		err = errors.New("it is empty")
	}
	if err == nil && len(id) > maxScanID {
		err = fmt.Errorf("it is longer than %d bytes", maxScanID)
	}
	if err == nil && string(id) != r.scanID {
		r.scanID = string(id)
	}
	return err
}

// time reads RFC 3339. The calendar is asked once for each second.
func (r *parser) time(v value) (int64, error) {
	const dot, full = len("2006-01-02T15:04:05."), len(timeLayout)
	text, err := v.text()
	if err != nil {
		return 0, err
	}
	if len(text) == full && bytes.Equal(text[:dot], r.second) && text[full-1] == 'Z' {
		if ns, err := (value{raw: text[dot : full-1]}).uint(1e9 - 1); err == nil {
			return r.unix + int64(ns), nil
		}
	}
	t, err := parseTime(text)
	if err != nil {
		return 0, err
	}
	if y := t.Year(); y < 1678 || y > 2261 { // what an int64 of nanoseconds holds
		return 0, fmt.Errorf("year %d is out of range", y)
	}
	if len(text) == full && text[dot-1] == '.' && text[full-1] == 'Z' {
		r.second, r.unix = append(r.second[:0], text[:dot]...), t.UnixNano()-int64(t.Nanosecond())
	}
	return t.UnixNano(), nil
}

func parseTime(text []byte) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return t, fmt.Errorf("%.40q is not a time of RFC 3339", text)
	}
	return t.UTC(), nil
}

// UnmarshalJSON reads RFC 3339.
func (t *Time) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	u, err := parseTime([]byte(text))
	*t = Time(u)
	return err
}

// name keeps one string for all records that have the same.
func (r *parser) name(v value) (string, error) {
	text, err := v.text()
	if err != nil {
		return "", err
	}
	if s, ok := r.names[string(text)]; ok {
		return s, nil
	}
	if r.names == nil || len(r.names) == maxNames {
		r.names = map[string]string{}
	}
	s := string(text)
	if cut(s, maxName) != s {
		return "", fmt.Errorf("it is longer than %d bytes", maxName)
	}
	r.names[s] = s
	return s, nil
}

// hostnames are a record's, of which there may be none yet.
func hostnames(of **Hostnames) *Hostnames {
	if *of == nil {
		*of = &Hostnames{}
	}
	return *of
}

func (h *Hostnames) list(v value) error {
	if json.Unmarshal(v.raw, &h.List) != nil {
		return errors.New("it is not a list of names")
	}
	return nil
}

func (h *Hostnames) leftOut(v value) error {
	n, err := v.uint(math.MaxInt32)
	h.LeftOut = int(n)
	return err
}
