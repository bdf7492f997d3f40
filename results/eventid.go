package results

import (
	"encoding/hex"
	"net/netip"
	"strconv"

	"github.com/dchest/siphash"
)

// EventID tells records apart by what they say, not by when they say it, so that a receiver can drop
// one that it has already: SipHash-2-4-128 under the zero key over the words below, joined by "|".
//
//	scan_start  scan_id, "scan_start"
//	port        scan_id, address, "tcp", port, state
//	host        scan_id, "host", address; of a summary in several parts, from the second on, its number from 1
//	event       scan_id, "event", its kind, time in ns since the Unix epoch, extent, cause, interface, next hop, prefix
//	violation   scan_id of the scan that opened it, "violation", rule, address, port (none of a whole host), vantage, status, and
//	            how often that scan has opened it before, where it has; its violation_id is that of "violation", rule, address, port, vantage
//	scan_end    scan_id, "scan_end"
//	delivery    scan_id, "delivery"
//	plan        scan_id, "plan", part, piece
//	coverage    scan_id, "coverage", part, piece
//	change      scan_id, "change", vantage, its kind, address, prefix, "tcp", port, before, after
//	listener    host, "listener", network namespace (its name, else its inode), address, interface, port, unit (else the path of the program)
//	mismatch    host, "mismatch", kind, network namespace likewise, address, port
//	supervision "supervision", vantage point, time in ns since the Unix epoch
type EventID [16]byte

// AppendTo appends the 32 hex digits.
func (id EventID) AppendTo(b []byte) []byte { return hex.AppendEncode(b, id[:]) }

// String is the 32 hex digits.
func (id EventID) String() string { return hex.EncodeToString(id[:]) }

// EventID of the port's state in a scan.
func (p *Port) EventID(scanID string) EventID {
	var buf [160]byte
	m := append(buf[:0], scanID...)
	m = append(m, '|')
	m = p.Addr.AppendTo(m)
	m = append(m, "|tcp|"...)
	m = strconv.AppendUint(m, uint64(p.Port), 10)
	m = append(m, '|')
	return newEventID(append(m, p.Reason.Label()...))
}

// EventID of the host's summary in a scan.
func (h *Host) EventID(scanID string) EventID {
	return HostEventID(scanID, h.Addr, 0)
}

// HostEventID is [Host.EventID] of part number part, from 0, of a summary that needs several.
func HostEventID(scanID string, addr netip.Addr, part int) EventID {
	m := addr.AppendTo([]byte(scanID + "|host|"))
	if part > 0 {
		m = strconv.AppendInt(append(m, '|'), int64(part), 10)
	}
	return newEventID(m)
}

// EventID of the scan's opening record.
func (s *ScanStart) EventID() EventID { return newEventID([]byte(s.ScanID + "|scan_start")) }

// EventID of the scan's closing record.
func (s *ScanEnd) EventID() EventID { return newEventID([]byte(s.ScanID + "|scan_end")) }

func newEventID(words []byte) (id EventID) {
	lo, hi := siphash.Hash128(0, 0, words)
	for i := range 8 {
		id[i], id[8+i] = byte(lo>>(8*i)), byte(hi>>(8*i))
	}
	return id
}
