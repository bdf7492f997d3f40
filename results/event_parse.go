package results

import (
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
)

// event is the inverse of Event.AppendJSON, as port is of Port's.
func (r *parser) event(line []byte, e *Event) error {
	*e = Event{}
	has := 0
	err := fields(line, func(name []byte, v value) (err error) {
		switch string(name) {
		case "ts":
			has |= hasTime
			e.Time, err = r.time(v)
		case "scan_id":
			has |= hasScanID
			err = r.scan(v)
		case "event":
			has |= hasKind
			e.Kind, err = eventKind(v)
		case "begin":
			e.Begin, err = r.time(v)
		case "end":
			e.End, err = r.time(v)
		case "extent":
			e.Scope, err = r.name(v)
		case "cause":
			e.Cause, err = r.name(v)
		case "iface":
			e.Iface, err = r.name(v)
		case "next_hop":
			e.NextHop, err = address(v)
		case "prefix":
			e.Prefix, err = prefix(v)
		case "mac":
			e.MAC, err = hardwareAddr(v)
		case "old_mac":
			e.OldMAC, err = hardwareAddr(v)
		case "again":
			e.Again, err = v.uint(math.MaxUint64)
		case "unknown":
			e.Unknown, err = v.uint(math.MaxUint64)
		case "rate_pps":
			e.Rate, err = v.uint(math.MaxUint64)
		case "message":
			var text []byte
			text, err = v.text()
			e.Message = string(text)
		case "tags":
			e.Tags, err = r.tags(v)
		}
		return err
	})
	if err != nil {
		return err
	}
	return missing(has, eventNeeds)
}

func eventKind(v value) (EventKind, error) {
	text, err := v.text()
	if err != nil {
		return EventNone, err
	}
	kind := ParseEventKind(string(text))
	if kind == EventNone {
		return EventNone, fmt.Errorf("%.40q is not known", text)
	}
	return kind, nil
}

func prefix(v value) (netip.Prefix, error) {
	text, err := v.text()
	if err != nil {
		return netip.Prefix{}, err
	}
	p, err := netip.ParsePrefix(string(text))
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%.60q is not a prefix", text)
	}
	return p, nil
}

// hardwareAddr reads what appendMAC writes, of any length.
func hardwareAddr(v value) (net.HardwareAddr, error) {
	text, err := v.text()
	if err != nil {
		return nil, err
	}
	digits := strings.ReplaceAll(string(text), ":", "")
	mac, err := hex.DecodeString(digits)
	if err != nil || len(mac) == 0 || len(mac) > maxMAC || len(text) != 3*len(mac)-1 || net.HardwareAddr(mac).String() != strings.ToLower(string(text)) {
		return nil, fmt.Errorf("%.60q is not a MAC address", text)
	}
	return mac, nil
}
