package format

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// ecsVersion is the version of the Elastic Common Schema that the events keep to.
const ecsVersion = "9.4.0"

// maxECSPorts is how many open ports a host's event lists, so that its line stays under 4 KB with two long
// host names in it.
const maxECSPorts = 380

// ecs writes Elastic Common Schema events, one JSON object per line: one for each port record, one for
// each host record, one for each event record, one for the scan's start and one for its end. What the schema has no field for is
// under "synoptic". docs/ecs-template.json maps every field.
//
// The fields that would make a scanner's report look like the scan itself stay out, because rules that
// find port scans match on them: network.packets, network.bytes, event.type connection or start, and
// event.action network_flow. So do event.outcome, for a closed port is no failure, and network.protocol,
// which a port number does not prove.
type ecs struct {
	w        *Writer
	hostname string
	scanID   string
	// tail is the same in every event of the scan: the end of the object "synoptic", and what follows it.
	tail []byte
	// short is a copy of the port that appendShortPort shortens, and names are what is left of its names.
	short results.Port
	names results.Hostnames
}

// newECS encodes records as events of the Elastic Common Schema (https://www.elastic.co/docs/reference/ecs).
func newECS(w *Writer, o Options) Encoder {
	e := &ecs{w: w, hostname: o.Hostname}
	e.observer(o.Version, o.Hostname) // of notices that no scan brings
	return e
}

// The objects "event" and "network" end in what is the same for every scan. The category of a host's
// summary is "host", which the schema keeps for inventories.
const (
	ecsSource  = `,"module":"synoptic","dataset":"synoptic.result","provider":"synoptic"}`
	ecsPort    = `","kind":"state","category":["network"],"type":["info"]` + ecsSource
	ecsHost    = `","kind":"state","category":["host"],"type":["info"]` + ecsSource
	ecsScan    = `","kind":"event","category":["network"],"type":["info"]` + ecsSource
	ecsNetwork = `","transport":"tcp","iana_number":"6"}`
	ecsTags    = "labels"
)

func (e *ecs) Start(s *results.ScanStart) error {
	s = s.Fit()
	e.scanID = s.ScanID
	e.observer(s.Version, cmp.Or(s.Scanner, e.hostname))
	return commitStart(e.w, s, e.appendStart)
}

// observer makes the tail of who has seen it.
func (e *ecs) observer(version, scanner string) {
	t := append(e.tail[:0], `},"ecs":{"version":"`+ecsVersion+`"},"observer":{"vendor":"Synoptic","product":"Synoptic","type":"scanner"`...)
	if version != "" {
		t = append(t, `,"version":`...)
		t = results.AppendString(t, version)
	}
	if scanner != "" {
		t = append(t, `,"hostname":`...)
		t = results.AppendString(t, scanner)
	}
	e.tail = append(t, "}}\n"...)
}

// appendStart appends the event of a scan's start.
func (e *ecs) appendStart(b []byte, s *results.ScanStart) ([]byte, error) {
	fields, err := nativeStart(s)
	if err != nil {
		return nil, err
	}
	at := time.Time(s.Time).UnixNano()
	b = e.appendScan(b, at, "scan started", "scan-started", s.EventID())
	b = append(b, `","start":"`...)
	b = results.AppendTime(b, at)
	b = append(b, ecsScan...)
	if sources := sourceAddrs(s); len(sources) > 0 {
		related, _ := json.Marshal(sources) // addresses always marshal
		b = append(b, `,"related":{"ip":`...)
		b = append(b, related...)
		b = append(b, '}')
	}
	b = s.Tags.AppendField(b, ecsTags)
	return e.appendNative(b, fields), nil
}

func (e *ecs) Ports(ports []results.Port) error {
	for i := range ports {
		p := &ports[i]
		id := p.EventID(e.scanID)
		if err := e.w.Commit(e.appendShortPort(e.w.Buf(), p, id), batch.Event{Time: p.Time, ID: id, Records: 1}); err != nil {
			return err
		}
	}
	return nil
}

// appendPort appends the event of one port, with its line end. It does not allocate under the conditions
// of [results.AppendString].
func (e *ecs) appendPort(b []byte, p *results.Port, id results.EventID) []byte {
	b = append(b, `{"@timestamp":"`...)
	b = results.AppendTime(b, p.Time)
	b = append(b, `","message":"`...)
	// The address and the port are in the event several times: they are printed once, and copied.
	begin := len(b)
	b = p.Addr.WithZone("").AppendTo(b)
	addr := b[begin:]
	b = append(b, ' ')
	begin = len(b)
	b = strconv.AppendUint(b, uint64(p.Port), 10)
	port := b[begin:]
	state := p.Reason.Label()
	b = append(b, "/tcp "...)
	b = append(b, state...)
	b = append(b, `","event":{"id":"`...)
	b = id.AppendTo(b)
	b = append(b, `","action":"port-`...)
	b = append(b, state...)
	b = append(b, `","reason":"`...)
	b = append(b, p.Reason.String()...)
	b = append(b, ecsPort...)
	if p.Source.IsValid() {
		b = append(b, `,"source":{"ip":"`...)
		b = p.Source.WithZone("").AppendTo(b)
		b = append(b, '"')
		if p.SourcePort != 0 {
			b = append(b, `,"port":`...)
			b = strconv.AppendUint(b, uint64(p.SourcePort), 10)
		}
		b = append(b, '}')
	}
	b = appendECSDestination(b, addr, p.Hostname, p.MAC)
	b = append(b, `,"port":`...)
	b = append(b, port...)
	b = append(b, '}')
	b = appendECSNetwork(b, p.Addr)
	b = append(b, `,"related":{"ip":["`...)
	if p.Source.IsValid() && p.Source != p.Addr {
		b = p.Source.WithZone("").AppendTo(b)
		b = append(b, `","`...)
	}
	b = append(b, addr...)
	if p.Router.IsValid() && p.Router != p.Addr {
		b = append(b, `","`...)
		b = p.Router.WithZone("").AppendTo(b)
	}
	b = append(b, `"]`...)
	b = append(appendECSHosts(b, p.Hostname, p.Hostnames), '}')
	b = p.Tags.AppendField(b, ecsTags)

	b = append(b, `,"synoptic":{"scan_id":`...)
	b = results.AppendString(b, e.scanID)
	b = append(b, `,"state":"`...)
	b = append(b, state...)
	b = append(b, `","range":"`...)
	b = append(b, p.Range()...)
	b = append(b, '"')
	b = p.AppendService(b)
	b = p.Hostnames.AppendLeftOut(b)
	if p.Router.IsValid() {
		b = append(b, `,"router":"`...)
		b = p.Router.WithZone("").AppendTo(b)
		b = append(b, '"')
	}
	if p.TTL != 0 {
		b = append(b, `,"ttl":`...)
		b = strconv.AppendUint(b, uint64(p.TTL), 10)
	}
	if p.HasRTT {
		b = appendECSRTT(b, p.RTT)
	}
	if p.Attempt != 0 {
		b = append(b, `,"attempt":`...)
		b = strconv.AppendUint(b, uint64(p.Attempt), 10)
	}
	if p.Reason == results.SYNACK { // a window of 0 is a finding, not an absence
		b = append(b, `,"window":`...)
		b = strconv.AppendUint(b, uint64(p.Window), 10)
	}
	if p.MSS != 0 {
		b = append(b, `,"mss":`...)
		b = strconv.AppendUint(b, uint64(p.MSS), 10)
	}
	if p.Iface != "" {
		b = append(b, `,"iface":`...)
		b = results.AppendString(b, p.Iface)
	}
	b = p.Suspect.AppendField(b)
	if p.Verified != results.VerifyNone {
		b = append(b, `,"verified":`...)
		b = strconv.AppendBool(b, p.Verified == results.VerifyTrue)
	}
	if len(p.Banner) > 0 {
		b = append(b, `,"banner":`...)
		b = results.AppendBanner(b, p.Banner)
	}
	return append(b, e.tail...)
}

func (e *ecs) Hosts(hosts []results.Host) error {
	for i := range hosts {
		h := &hosts[i]
		id := h.EventID(e.scanID)
		if err := e.w.Commit(e.appendShortHost(e.w.Buf(), h, id), batch.Event{Time: h.Last, ID: id, Records: 1}); err != nil {
			return err
		}
	}
	return nil
}

// appendHost appends the event of one host's summary, with its line end.
func (e *ecs) appendHost(b []byte, h *results.Host, id results.EventID) []byte {
	b = append(b, `{"@timestamp":"`...)
	b = results.AppendTime(b, h.Last)
	b = append(b, `","message":"`...)
	begin := len(b)
	b = h.Addr.WithZone("").AppendTo(b)
	addr := b[begin:]
	b = append(b, ": "...)
	b = strconv.AppendInt(b, int64(h.OpenCount), 10)
	b = append(b, " open, "...)
	b = strconv.AppendInt(b, int64(h.ClosedCount), 10)
	b = append(b, ` closed","event":{"id":"`...)
	b = id.AppendTo(b)
	b = append(b, `","action":"host-summary","start":"`...)
	b = results.AppendTime(b, h.First)
	b = append(b, `","end":"`...)
	b = results.AppendTime(b, h.Last)
	b = append(b, ecsHost...)
	b = appendECSDestination(b, addr, h.Hostname, h.MAC)
	b = append(b, '}')
	b = appendECSNetwork(b, h.Addr)
	b = append(b, `,"related":{"ip":["`...)
	b = append(b, addr...)
	b = append(b, `"]`...)
	b = append(appendECSHosts(b, h.Hostname, h.Hostnames), '}')
	b = h.Tags.AppendField(b, ecsTags)
	b = append(b, `,"synoptic":{"scan_id":`...)
	b = results.AppendString(b, e.scanID)
	b = append(b, `,"open":`...)
	b = strconv.AppendInt(b, int64(h.OpenCount), 10)
	b = append(b, `,"closed":`...)
	b = strconv.AppendInt(b, int64(h.ClosedCount), 10)
	b = append(b, `,"open_ports":[`...)
	room := maxECSPorts - (len(h.Tags)+len(ecsTags))/len("65535,")
	for i, p := range h.Open[:min(len(h.Open), room)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(p), 10)
	}
	b = append(b, ']')
	b = h.Hostnames.AppendLeftOut(b)
	if h.HasRTT {
		b = appendECSRTT(b, h.RTT)
	}
	return append(h.Suspect.AppendField(b), e.tail...)
}

func (e *ecs) End(s *results.ScanEnd) error {
	return commitEnd(e.w, s, 1, e.appendEnd)
}

// appendEnd appends the event of a scan's end.
func (e *ecs) appendEnd(b []byte, s *results.ScanEnd) ([]byte, error) {
	fields, err := nativeEnd(s)
	if err != nil {
		return nil, err
	}
	at := time.Time(s.Time).UnixNano()
	b = e.appendScan(b, at, endMessage(s), "scan-completed", s.EventID())
	b = append(b, `","start":"`...)
	b = results.AppendTime(b, at-scanDuration(s).Nanoseconds())
	b = append(b, `","end":"`...)
	b = results.AppendTime(b, at)
	b = append(b, ecsScan...)
	if s.Error != "" {
		b = append(b, `,"error":{"message":`...)
		b = results.AppendString(b, s.Error)
		b = append(b, '}')
	}
	b = s.Tags.AppendField(b, ecsTags)
	return e.appendNative(b, fields), nil
}

// Report is for Reporter.
func (e *ecs) Report(r *results.DeliveryReport) error {
	r = r.Fit()
	fields, err := nativeReport(r)
	if err != nil {
		return fmt.Errorf("encode delivery: %w", err)
	}
	message := "every output has all records"
	if r.Undelivered > 0 {
		message = strconv.FormatUint(r.Undelivered, 10) + " records were not delivered"
	}
	at := time.Time(r.Time).UnixNano()
	b := append(e.appendScan(e.w.Buf(), at, message, "scan-delivery", r.EventID()), ecsScan...)
	b = r.Tags.AppendField(b, ecsTags)
	return e.w.Commit(e.appendNative(b, fields), batch.Event{Time: at, ID: r.EventID(), Records: 1})
}

func (*ecs) Close() error { return nil }

// appendScan begins an event of the scan's life, up to the middle of its object "event".
func (e *ecs) appendScan(b []byte, unixNano int64, message, action string, id results.EventID) []byte {
	b = append(b, `{"@timestamp":"`...)
	b = results.AppendTime(b, unixNano)
	b = append(b, `","message":"`...)
	b = append(b, message...)
	b = append(b, `","event":{"id":"`...)
	b = id.AppendTo(b)
	b = append(b, `","action":"`...)
	return append(b, action...)
}

// appendNative ends an event with the fields of a record as their own object: a JSON object, whole.
func (e *ecs) appendNative(b, object []byte) []byte {
	b = append(b, `,"synoptic":`...)
	b = append(b, object[:len(object)-1]...) // the tail has the bracket
	return append(b, e.tail...)
}

// appendECSDestination leaves the object open.
func appendECSDestination(b, addr []byte, hostname string, mac results.MAC) []byte {
	b = append(b, `,"destination":{"address":"`...)
	b = append(b, addr...)
	b = append(b, `","ip":"`...)
	b = append(b, addr...)
	b = append(b, '"')
	if hostname != "" {
		b = append(b, `,"domain":`...)
		b = results.AppendString(b, hostname)
	}
	if mac.IsValid() {
		b = append(b, `,"mac":"`...)
		b = append(mac.AppendUpper(b, '-'), '"')
	}
	return b
}

func appendECSNetwork(b []byte, addr netip.Addr) []byte {
	b = append(b, `,"network":{"type":"ipv`...)
	if addr.Unmap().Is4() {
		b = append(b, '4')
	} else {
		b = append(b, '6')
	}
	return append(b, ecsNetwork...)
}

func appendECSRTT(b []byte, rtt time.Duration) []byte {
	b = append(b, `,"rtt_us":`...)
	return strconv.AppendInt(b, int64(max(rtt, 0)/time.Microsecond), 10)
}
