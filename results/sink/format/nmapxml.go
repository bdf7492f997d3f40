package format

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// nmapXML writes a scan as nmap's -oX does: nmap.dtd, version 1.05 of the output.
//
//	Start ─▶ <nmaprun> … <debugging/>     Ports, Hosts ─▶ byHost     End ─▶ <host>… in order, <runstats>
//
// A host is one element, so that nothing of it can be written before the last port is known. What it takes until then is
// bounded (see byHost), as is one host: that never takes more than its records.
type nmapXML struct {
	grouped
	start results.ScanStart
	host  nmapHost
}

// newNmapXML groups the records by host, and writes them at the end of the scan.
//
// Closed ports of a host, and filtered ones, are listed one by one up to 25 of them, and are summed up in
// extraports beyond that, with their numbers, as nmap does. A host is up as with nmap's -Pn: the packet
// that shows it is the reason, or "user-set" where none came. One that ARP or NDP does not find is
// down, and so count those that no record tells of. A banner is written as nmap's script "banner" does
// it; what nmap has no place for is in elements of that script, or of one "synoptic" where there is no banner. A port has one
// script at most: ndiff cannot put two in an order (TypeError, ndiff 7.93).
func newNmapXML(w *Writer, o Options) Encoder {
	return &nmapXML{grouped: newGrouped(w, o)}
}

func (x *nmapXML) Start(s *results.ScanStart) error {
	x.start = *s
	at := time.Time(s.Time)
	b := x.w.Buf()
	// The document type names no file: nmap's own does not either.
	b = append(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n<nmaprun scanner=\"nmap\""...)
	b = appendAttr(b, "args", commandLine(s))
	b = appendIntAttr(b, "start", at.Unix())
	b = appendAttr(b, "startstr", nmapTime(at))
	b = appendAttr(b, "version", s.Version)
	b = append(b, " xmloutputversion=\"1.05\">\n<scaninfo type=\""...)
	if s.Backend == "connect" {
		b = append(b, "connect"...)
	} else {
		b = append(b, "syn"...)
	}
	b = append(b, "\" protocol=\"tcp\""...)
	b = appendIntAttr(b, "numservices", int64(s.Ports))
	b = appendAttr(b, "services", portsArg(s.Args))
	b = append(b, "/>\n<verbose level=\"0\"/>\n<debugging level=\"0\"/>\n"...)
	return x.w.Commit(b, batch.Event{Time: at.UnixNano(), ID: s.EventID(), Records: 1})
}

// portsArg finds the list of ports among the arguments, where it is one of numbers, as nmap has it; else it is "".
func portsArg(args []string) string {
	for i, a := range args {
		name, value, found := strings.Cut(a, "=")
		long := strings.HasPrefix(a, "--") && name[2:] == "ports"
		switch {
		case long && found:
		case (a == "-p" || long) && i+1 < len(args):
			value = args[i+1]
		case strings.HasPrefix(a, "-p") && len(a) > 2:
			value = strings.TrimPrefix(a[2:], "=")
		default:
			continue
		}
		switch {
		case value == "-":
			return "1-65535"
		case strings.Trim(value, "0123456789,-") == "":
			return value
		}
	}
	return ""
}

func (x *nmapXML) End(s *results.ScanEnd) error {
	var up, listed uint64
	for g, err := range x.sort.hosts() {
		if err != nil {
			return err
		}
		listed++
		x.host.sum(g)
		if x.host.state == "up" {
			up++
		}
		if err := x.writeHost(g); err != nil {
			return err
		}
	}
	total := max(x.start.Targets, listed)
	at := time.Time(s.Time)
	b := append(x.w.Buf(), "<runstats><finished"...)
	b = appendIntAttr(b, "time", at.Unix())
	b = appendAttr(b, "timestr", nmapTime(at))
	b = appendAttr(b, "summary", "Synoptic done at "+nmapTime(at)+"; "+nmapDone(s, total, up))
	b = append(b, ` elapsed="`...)
	b = strconv.AppendFloat(b, s.Duration, 'f', 2, 64)
	b = append(b, '"')
	if s.Complete {
		b = append(b, ` exit="success"`...)
	} else {
		b = append(b, ` exit="error"`...)
		b = appendAttr(b, "errormsg", shortfall(s))
	}
	b = append(b, "/><hosts"...)
	b = appendIntAttr(b, "up", int64(up))
	b = appendIntAttr(b, "down", int64(total-up))
	b = appendIntAttr(b, "total", int64(total))
	b = append(b, "/>\n</runstats>\n</nmaprun>\n"...)
	return x.w.Commit(b, batch.Event{Time: at.UnixNano(), ID: s.EventID(), Records: 1})
}

// writeHost writes a host in pieces of some batch.Size; all of its records are counted with the last.
func (x *nmapXML) writeHost(g *hostGroup) error {
	h := &x.host
	b := append(x.w.Buf(), "<host"...)
	if h.last > 0 {
		b = appendIntAttr(b, "starttime", h.first/int64(time.Second))
		b = appendIntAttr(b, "endtime", h.last/int64(time.Second))
	}
	b = append(b, "><status"...)
	b = appendAttr(b, "state", h.state)
	b = appendAttr(b, "reason", h.reason)
	b = appendIntAttr(b, "reason_ttl", int64(h.ttl))
	b = append(b, "/>\n<address addr=\""...)
	b = g.Addr.AppendTo(b)
	if g.Addr.Is4() {
		b = append(b, "\" addrtype=\"ipv4\"/>\n"...)
	} else {
		b = append(b, "\" addrtype=\"ipv6\"/>\n"...)
	}
	if g.MAC.IsValid() {
		b = append(b, "<address addr=\""...)
		b = g.MAC.AppendUpper(b, ':')
		b = append(b, "\" addrtype=\"mac\"/>\n"...)
	}
	b = append(b, "<hostnames>\n"...)
	for _, name := range g.names() {
		b = append(b, "<hostname"...)
		b = appendAttr(b, "name", name)
		b = append(b, " type=\"user\"/>\n"...)
	}
	b = append(b, "</hostnames>\n<ports>"...)
	for i := range h.extra {
		b = h.extra[i].appendXML(b)
	}
	for p := range g.Ports() {
		if !h.shows(p) {
			continue
		}
		if b = appendPortXML(b, p); len(b) >= batch.Size {
			if err := x.w.Commit(b, batch.Event{Time: h.last}); err != nil {
				return err
			}
			b = x.w.Buf()
		}
	}
	b = append(b, "</ports>\n"...)
	if g.Summary != nil && g.Summary.Suspect != 0 {
		b = append(b, "<hostscript>"...)
		b = appendScript(b, nil, remark{"suspect", g.Summary.Suspect.String()})
		b = append(b, "</hostscript>\n"...)
	}
	return x.w.Commit(append(b, "</host>\n"...), batch.Event{Time: h.last, Records: g.count})
}

func (e *nmapExtra) appendXML(b []byte) []byte {
	b = append(b, "<extraports"...)
	b = appendAttr(b, "state", e.state)
	b = appendIntAttr(b, "count", int64(e.count))
	b = append(b, ">\n"...)
	for i := range e.reasons {
		r := &e.reasons[i]
		r.closeRange()
		b = append(b, "<extrareasons"...)
		b = appendAttr(b, "reason", r.name)
		b = appendIntAttr(b, "count", int64(r.count))
		b = append(b, ` proto="tcp" ports="`...)
		b = append(b, r.ports...)
		b = append(b, "\"/>\n"...)
	}
	return append(b, "</extraports>\n"...)
}

func appendPortXML(b []byte, p *results.Port) []byte {
	b = append(b, `<port protocol="tcp" portid="`...)
	b = strconv.AppendUint(b, uint64(p.Port), 10)
	b = append(b, `"><state state="`...)
	b = append(b, nmapState(p.Reason)...)
	b = append(b, `" reason="`...)
	b = append(b, nmapReasons[p.Reason]...)
	b = append(b, `" reason_ttl="`...)
	b = strconv.AppendUint(b, uint64(p.TTL), 10)
	b = append(b, '"')
	if p.Router.IsValid() && p.Router != p.Addr {
		b = append(b, ` reason_ip="`...)
		b = p.Router.AppendTo(b)
		b = append(b, '"')
	}
	b = append(b, "/>"...)
	if p.Service != "" {
		b = append(b, "<service"...)
		b = appendAttr(b, "name", p.Service)
		if p.ServiceSource == results.ServiceBanner { // as nmap's version detection has it of what it is sure of
			b = append(b, ` method="probed" conf="10"/>`...)
		} else {
			b = append(b, ` method="table" conf="3"/>`...)
		}
	}
	var remarks [2]remark
	n := 0
	if p.Suspect != 0 {
		remarks[n] = remark{"suspect", p.Suspect.String()}
		n++
	}
	if p.Verified != results.VerifyNone {
		remarks[n] = remark{"verified", strconv.FormatBool(p.Verified == results.VerifyTrue)}
		n++
	}
	banner := bytes.Trim(p.Banner, " \t\n\v\f\r") // so does nmap's script
	if n > 0 || len(banner) > 0 {
		b = appendScript(b, banner, remarks[:n]...)
	}
	return append(b, "</port>\n"...)
}

// remark is what nmap has no place for.
type remark struct{ key, value string }

// appendScript appends the one script of a port or a host: its output is the banner, or else the remarks.
func appendScript(b, banner []byte, remarks ...remark) []byte {
	if len(banner) > 0 {
		b = append(b, `<script id="banner" output="`...)
		b = appendBannerXML(b, banner)
		b = append(b, '"')
	} else {
		words := make([]string, len(remarks))
		for i, r := range remarks {
			words[i] = r.key + ": " + r.value
		}
		b = append(b, `<script id="synoptic"`...)
		b = appendAttr(b, "output", strings.Join(words, "; "))
	}
	if len(remarks) == 0 {
		return append(b, "/>"...)
	}
	b = append(b, '>')
	for _, r := range remarks {
		b = append(b, "<elem"...)
		b = appendAttr(b, "key", r.key)
		b = append(b, '>')
		b = append(b, r.value...) // of our own words
		b = append(b, "</elem>"...)
	}
	return append(b, "</script>"...)
}
