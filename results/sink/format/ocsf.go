package format

import (
	"cmp"
	"math"
	"net/netip"
	"strconv"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// ocsfVersion is the version of the schema that the events keep to: the first whose network interfaces
// have open ports. Later 1.x versions keep what it has.
const ocsfVersion = "1.6.0"

// maxOCSFPorts is how many open ports one inventory event lists, so that its line stays under 4 KB; tags take the
// place of some.
const maxOCSFPorts = 75

// ocsfRest is how many bytes of such an event follow the ports at most, but for the names of the device.
const ocsfRest = 440

// ocsfOpenPort is the longest that a port is in that list.
const ocsfOpenPort = `{"port":65535,"protocol_name":"tcp"},`

// ocsf writes events of the Open Cybersecurity Schema Framework, one JSON object per line: class 6007 Scan
// Activity at the scan's start and end, and for events; and between them, when the scan is over, class 5001 Device
// Inventory Info for each host that has answered, IPv4 before IPv6, ascending.
//
// A host with more than maxOCSFPorts open ports has several events: the device is the same, the ports are
// not, and unmapped.part of unmapped.parts tells which it is. The classes have no place for a port that is
// not open: a host of which only closed ports are known has an event without ports, a host that never
// answered has none.
type ocsf struct {
	grouped
	hostname string
	scanID   string
	targets  uint64
	metadata []byte // the same in every event: all of the object but its uid and what follows that
	scanner  []byte // the object of the scanning host, or nothing
	version  string // of the program, where no scan says so
	begun    bool   // a scan has
	tags     []byte // those of the scan, as appendOCSFTags writes them
}

// newOCSF encodes records as events of OCSF (https://schema.ocsf.io).
func newOCSF(w *Writer, o Options) Encoder {
	return &ocsf{grouped: newGrouped(w, o), hostname: o.Hostname, version: o.Version}
}

// The attributes that classify an event: base_event.json of the schema. type_uid is class_uid·100 +
// activity_id, and severity_id 1 is informational.
const (
	ocsfInventory = `{"category_uid":5,"class_uid":5001,"activity_id":2,"type_uid":500102,"severity_id":1`
	ocsfScan      = `{"category_uid":6,"class_uid":6007,"severity_id":`
)

// Values of activity_id in class 6007: scan_activity.json of the schema.
const (
	ocsfStarted   = 1
	ocsfCompleted = 2
	ocsfCancelled = 3
	ocsfError     = 6
)

func (o *ocsf) Start(s *results.ScanStart) error {
	s = s.Fit()
	o.begun, o.targets = true, s.Targets
	o.hostname, o.tags = cmp.Or(s.Scanner, o.hostname), appendOCSFTags(nil, s.Tags)
	o.identify(s.ScanID, s.Version)
	o.setScanner(sourceAddrs(s))
	return commitStart(o.w, s, o.appendStart)
}

// alone makes what is the same in every event for a notice that comes without its scan.
func (o *ocsf) alone(scanID string) {
	if !o.begun {
		o.identify(scanID, o.version)
		o.setScanner(nil)
	}
}

// identify makes what metadata begins with.
func (o *ocsf) identify(scanID, version string) {
	o.scanID = scanID
	m := append(o.metadata[:0], `,"metadata":{"version":"`+ocsfVersion+`","product":{"name":"Synoptic","vendor_name":"Synoptic"`...)
	if version != "" {
		m = append(m, `,"version":`...)
		m = results.AppendString(m, version)
	}
	m = append(m, `},"correlation_uid":`...)
	m = results.AppendString(m, scanID)
	o.metadata = append(m, `,"uid":"`...)
}

// appendStart appends the event of a scan's start.
func (o *ocsf) appendStart(b []byte, s *results.ScanStart) ([]byte, error) {
	fields, err := nativeStart(s)
	if err != nil {
		return nil, err
	}
	at := time.Time(s.Time)
	b = o.appendScan(b, ocsfStarted, at, s.EventID(), "scan started")
	b = append(b, `,"start_time":`...)
	b = strconv.AppendInt(b, at.UnixMilli(), 10)
	return appendUnmapped(b, fields), nil
}

// setScanner makes the object that says who scans, in the words of the schema's profile "host".
// It has room for one address.
func (o *ocsf) setScanner(sources []netip.Addr) {
	o.scanner = nil
	if len(sources) == 0 && o.hostname == "" {
		return
	}
	o.scanner = append(o.scanner, `,"device":{"type_id":0`...)
	if o.hostname != "" {
		o.scanner = append(o.scanner, `,"hostname":`...)
		o.scanner = results.AppendString(o.scanner, o.hostname)
	}
	if len(sources) > 0 {
		o.scanner = append(o.scanner, `,"ip":"`...)
		o.scanner = sources[0].AppendTo(o.scanner)
		o.scanner = append(o.scanner, '"')
	}
	o.scanner = append(o.scanner, '}')
}

func (o *ocsf) End(s *results.ScanEnd) error {
	silent := 0 // records of hosts that never answered
	for g, err := range o.sort.hosts() {
		if err != nil {
			return err
		}
		d := inventory(g)
		if !d.answered {
			silent += g.count
			continue
		}
		if err := o.appendHost(g, d); err != nil {
			return err
		}
	}

	return commitEnd(o.w, s, 1+silent, o.appendEnd)
}

// appendEnd appends the event of a scan's end.
func (o *ocsf) appendEnd(b []byte, s *results.ScanEnd) ([]byte, error) {
	fields, err := nativeEnd(s)
	if err != nil {
		return nil, err
	}
	at, activity := time.Time(s.Time), ocsfCancelled
	switch {
	case s.Complete:
		activity = ocsfCompleted
	case s.Error != "" || lostEvidence(s):
		activity = ocsfError
	}
	b = o.appendScan(b, activity, at, s.EventID(), endMessage(s))
	b = append(b, `,"start_time":`...)
	b = strconv.AppendInt(b, at.Add(-scanDuration(s)).UnixMilli(), 10)
	b = append(b, `,"end_time":`...)
	b = strconv.AppendInt(b, at.UnixMilli(), 10)
	b = append(b, `,"duration":`...)
	b = strconv.AppendInt(b, scanDuration(s).Milliseconds(), 10)
	// An integer_t has 32 bits; in unmapped the counts are whole.
	if o.targets <= math.MaxInt32 {
		b = append(b, `,"num_network_items":`...)
		b = strconv.AppendUint(b, o.targets, 10)
	}
	if s.Probes <= math.MaxInt32 {
		b = append(b, `,"total":`...)
		b = strconv.AppendUint(b, s.Probes, 10)
	}
	switch activity {
	case ocsfCompleted:
		b = append(b, `,"status_id":1,"status":"Success"`...)
	case ocsfError:
		b = append(b, `,"status_id":2,"status":"Failure","status_detail":`...)
		b = results.AppendString(b, shortfall(s))
	}
	return appendUnmapped(b, fields), nil
}

// ocsfDevice is what the records of one address come to.
type ocsfDevice struct {
	answered bool  // an open or closed port, or a summary, says that somebody is there
	open     int   // open ports
	last     int64 // of the answers, nanoseconds since the Unix epoch
	suspect  results.Suspect
	tags     results.Tags
}

func inventory(g *hostGroup) (d ocsfDevice) {
	for p := range g.Ports() {
		switch p.Reason.State() {
		case results.Open:
			d.open++
		case results.Closed:
		default:
			continue
		}
		d.answered, d.last, d.suspect = true, max(d.last, p.Time), d.suspect|p.Suspect
		d.tags = cmp.Or(d.tags, p.Tags)
	}
	if h := g.Summary; h != nil {
		d.answered, d.last, d.suspect = true, max(d.last, h.Last), d.suspect|h.Suspect
		d.tags = cmp.Or(d.tags, h.Tags)
	}
	return d
}

// appendHost commits the events of one host: as many as its open ports need.
func (o *ocsf) appendHost(g *hostGroup, d ocsfDevice) error {
	tags := appendOCSFTags(nil, d.tags)
	most := maxOCSFPorts - (len(tags)+len(ocsfOpenPort)-1)/len(ocsfOpenPort)
	parts := max((d.open+most-1)/most, 1)
	part, listed := 0, 0
	records := g.count - d.open // those that no part lists go with the first
	begin := len(o.w.Buf())
	b := o.beginHost(g, d, part, tags)
	commit := func() error {
		e := batch.Event{Time: d.last, ID: results.HostEventID(o.scanID, g.Addr, part), Records: records + listed}
		names := g.Hostnames.Within(maxEvent - (len(b) - begin) - ocsfRest)
		return o.w.Commit(o.finishHost(b, names, d, part, parts), e)
	}
	for p := range g.Ports() {
		if p.Reason.State() != results.Open {
			continue
		}
		if listed == most {
			if err := commit(); err != nil {
				return err
			}
			part, listed, records = part+1, 0, 0
			begin = len(o.w.Buf())
			b = o.beginHost(g, d, part, tags)
		}
		if listed > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"port":`...)
		b = strconv.AppendUint(b, uint64(p.Port), 10)
		b = append(b, `,"protocol_name":"tcp"}`...)
		listed++
	}
	return commit()
}

// beginHost appends an inventory event up to the first open port.
func (o *ocsf) beginHost(g *hostGroup, d ocsfDevice, part int, tags []byte) []byte {
	b := append(o.w.Buf(), ocsfInventory...)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, time.Unix(0, d.last).UnixMilli(), 10)
	b = append(b, `,"message":"`...)
	begin := len(b)
	b = g.Addr.WithZone("").AppendTo(b)
	addr := b[begin:]
	b = append(b, ": "...)
	b = strconv.AppendInt(b, int64(d.open), 10)
	b = append(b, ` open TCP ports"`...)
	b = append(b, o.metadata...)
	b = results.HostEventID(o.scanID, g.Addr, part).AppendTo(b)
	b = append(append(b, '"'), tags...)
	b = append(b, `},"device":{"type_id":0,"type":"Unknown","ip":"`...)
	b = append(b, addr...)
	b = append(b, '"')
	if g.Hostname != "" {
		b = append(b, `,"hostname":`...)
		b = results.AppendString(b, g.Hostname)
	}
	b = append(b, `,"network_interfaces":[{"ip":"`...)
	b = append(b, addr...)
	if g.MAC.IsValid() {
		b = append(b, `","mac":"`...)
		b = g.MAC.AppendTo(b)
	}
	return append(b, `","open_ports":[`...)
}

// finishHost appends what follows the open ports.
func (o *ocsf) finishHost(b []byte, names *results.Hostnames, d ocsfDevice, part, parts int) []byte {
	b = append(b, `]}]},"unmapped":{"part":`...)
	b = strconv.AppendInt(b, int64(part+1), 10)
	b = append(b, `,"parts":`...)
	b = strconv.AppendInt(b, int64(parts), 10)
	if o.hostname != "" {
		b = append(b, `,"scanner":`...)
		b = results.AppendString(b, o.hostname)
	}
	b = names.AppendFields(b)
	b = d.suspect.AppendField(b)
	return append(b, "}}\n"...)
}

// appendScan begins an informational event of the scan's life.
func (o *ocsf) appendScan(b []byte, activity int, at time.Time, id results.EventID, message string) []byte {
	return o.appendActivity(b, activity, 1, at, id, message)
}

func (o *ocsf) appendActivity(b []byte, activity, severity int, at time.Time, id results.EventID, message string) []byte {
	b = append(b, ocsfScan...)
	b = strconv.AppendInt(b, int64(severity), 10)
	b = append(b, `,"activity_id":`...)
	b = strconv.AppendInt(b, int64(activity), 10)
	b = append(b, `,"type_uid":`...)
	b = strconv.AppendInt(b, int64(6007*100+activity), 10)
	b = append(b, `,"time":`...)
	b = strconv.AppendInt(b, at.UnixMilli(), 10)
	b = append(b, `,"message":`...)
	b = results.AppendString(b, message)
	b = append(b, o.metadata...)
	b = id.AppendTo(b)
	b = append(append(b, '"'), o.tags...)
	if o.scanner != nil {
		b = append(b, `,"profiles":["host"]}`...)
		b = append(b, o.scanner...)
	} else {
		b = append(b, '}')
	}
	// What started the scan, a person or a timer, is not known: type_id 0.
	b = append(b, `,"scan":{"type_id":0,"type":"Unknown","name":"TCP SYN scan","uid":`...)
	b = results.AppendString(b, o.scanID)
	return append(b, '}')
}

// appendUnmapped ends an event with the fields of the record as the schema's object for what it has no
// attributes for.
func appendUnmapped(b, object []byte) []byte {
	b = append(b, `,"unmapped":`...)
	b = append(b, object...)
	return append(b, "}\n"...)
}

// appendOCSFTags appends metadata.tags: key_value_object.json of the schema.
func appendOCSFTags(b []byte, tags results.Tags) []byte {
	if tags == "" {
		return b
	}
	b = append(b, `,"tags":`...)
	sep := byte('[')
	for key, value := range tags.All() {
		b = append(b, sep)
		b = append(b, `{"name":`...)
		b = results.AppendString(b, key)
		b = append(b, `,"value":`...)
		b = append(results.AppendString(b, value), '}')
		sep = ','
	}
	return append(b, ']')
}
