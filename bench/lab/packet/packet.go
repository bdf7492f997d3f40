// Package packet checks packets by what they say instead of by offsets:
//
//	packet.IPv4(t, b, packet.Src(a), packet.TTL(64),
//		packet.TCP(packet.DstPort(443), packet.Flags(packet.SYN), packet.MSS(1460), packet.Checksum()))
//
// Call Ethernet, IPv4 or IPv6 in a test, by what the bytes begin with. Each names every field that
// differs, with a hex dump. CheckEthernet, CheckIPv4 and CheckIPv6 return the same as an error, so that a
// check serves as a filter too. ParseEthernet, ParseIPv4 and ParseIPv6 give the fields themselves.
//
// Checks of the link and of the IP header stand side by side, for a frame has one of each. What is behind
// the IP header has checks of its own inside TCP, UDP, ICMPv4 or ICMPv6; Quotes, inside ICMP, looks at
// the packet that an error quotes, which may end behind its ports. Checksum and Payload are about the layer
// that they stand in, outside of these the IP header.
//
// The package shares nothing with scan/probe, so that the two cannot be wrong in the same way.
package packet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A Check returns what is wrong with a packet.
type Check func(p *Packet) error

// Ethernet fails the test unless frame is an Ethernet frame that passes the checks.
func Ethernet(t testing.TB, frame []byte, checks ...Check) bool {
	t.Helper()
	return report(t, frame, CheckEthernet(frame, checks...))
}

// IPv4 fails the test unless b is an IPv4 packet that passes the checks.
func IPv4(t testing.TB, b []byte, checks ...Check) bool {
	t.Helper()
	return report(t, b, CheckIPv4(b, checks...))
}

// IPv6 fails the test unless b is an IPv6 packet that passes the checks.
func IPv6(t testing.TB, b []byte, checks ...Check) bool {
	t.Helper()
	return report(t, b, CheckIPv6(b, checks...))
}

func report(t testing.TB, b []byte, err error) bool {
	t.Helper()
	if err != nil {
		t.Errorf("%v\n%s", err, strings.TrimSuffix(hex.Dump(b), "\n"))
	}
	return err == nil
}

// CheckEthernet returns what Ethernet would report.
func CheckEthernet(frame []byte, checks ...Check) error { return check(ParseEthernet, frame, checks) }

// CheckIPv4 returns what IPv4 would report.
func CheckIPv4(b []byte, checks ...Check) error { return check(ParseIPv4, b, checks) }

// CheckIPv6 returns what IPv6 would report.
func CheckIPv6(b []byte, checks ...Check) error { return check(ParseIPv6, b, checks) }

func check(parse func([]byte) (*Packet, error), b []byte, checks []Check) error {
	p, err := parse(b)
	if err != nil {
		return err
	}
	return All(checks...)(p)
}

// All returns everything that is wrong by any of the checks.
func All(checks ...Check) Check {
	return func(p *Packet) error {
		var errs []error
		for _, c := range checks {
			if err := c(p); err != nil {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
}

// Mismatch is a field that is not what it should be.
type Mismatch struct {
	Layer     Layer
	Field     string
	Got, Want any
}

func (m *Mismatch) Error() string {
	return fmt.Sprintf("%v %s: got %s, want %s", m.Layer, m.Field, show(m.Got), show(m.Want))
}

func show(v any) string {
	switch v := v.(type) {
	case []byte:
		if len(v) == 0 {
			return "none"
		}
		return fmt.Sprintf("% x", v)
	case uint32: // sequence numbers differ in their bytes
		return fmt.Sprintf("%d (%#x)", v, v)
	}
	return fmt.Sprint(v)
}

// ShortError says that a packet ends before what was to be checked.
type ShortError struct {
	Layer      Layer
	Need, Have int // bytes of the layer
}

func (e *ShortError) Error() string {
	return fmt.Sprintf("%v: %d bytes, %d are needed", e.Layer, e.Have, e.Need)
}

// LayerError says that a packet does not have the layer that a check is about.
type LayerError struct {
	Want Layer
	At   Layer // where it should have begun
	Got  string
}

func (e *LayerError) Error() string { return fmt.Sprintf("no %v behind %v: %s", e.Want, e.At, e.Got) }
