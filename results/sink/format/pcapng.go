package format

import (
	"encoding/binary"
	"runtime"
	"strconv"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// The pcapng blocks and options that are written (draft-ietf-opsawg-pcapng sections 3.5, 4.1, 4.2 and 4.3).
const (
	blockSection   = 0x0A0D0D0A
	blockInterface = 1
	blockPacket    = 6 // enhanced

	optionEnd      = 0
	optionComment  = 1
	optionOS       = 3 // of a section
	optionUserAppl = 4 // of a section
	optionName     = 2 // of an interface
	optionTsresol  = 9 // of an interface

	byteOrderMagic = 0x1A2B3C4D
	versionMajor   = 1
	versionMinor   = 0
	unknownLength  = ^uint64(0) // of a section: readers go by its blocks
	maxOption      = 1<<16 - 1  // bytes of a value
	nanoseconds    = "\x09"     // timestamps count 10^-9 s
)

// linkTypes are the LINKTYPE_ numbers of the registry (draft-ietf-opsawg-pcaplinktype).
var linkTypes = [...]uint16{results.LinkEthernet: 1, results.LinkRaw: 101}

// pcapng keeps the frames that records rest on, as evidence: a section for a scan, an interface for each
// that frames came from, and a packet with its verdict as a comment for each record that rests on one.
// All is little endian. A section may follow another, so a file can be appended to.
type pcapng struct {
	w          *Writer
	scanID     string
	interfaces []capturedOn // by their number in the section
}

type capturedOn struct {
	name string
	link results.LinkType
}

// newPcapng encodes the frames of records: those that have none (silent ports, the connect backend) are
// left out, and so are summaries of hosts.
func newPcapng(w *Writer, _ Options) Encoder { return &pcapng{w: w} }

func (p *pcapng) Start(s *results.ScanStart) error {
	p.scanID = s.ScanID
	b, block := beginBlock(p.w.Buf(), blockSection)
	b = binary.LittleEndian.AppendUint32(b, byteOrderMagic)
	b = binary.LittleEndian.AppendUint16(b, versionMajor)
	b = binary.LittleEndian.AppendUint16(b, versionMinor)
	b = binary.LittleEndian.AppendUint64(b, unknownLength)
	b = appendOption(b, optionComment, "scan_id "+s.ScanID+" seed "+strconv.FormatUint(s.Seed, 10))
	b = appendOption(b, optionOS, runtime.GOOS)
	b = appendOption(b, optionUserAppl, "synoptic "+s.Version)
	return p.w.Commit(endBlock(b, block), batch.Event{Time: time.Time(s.Time).UnixNano(), ID: s.EventID(), Records: 1})
}

func (p *pcapng) Ports(ports []results.Port) error {
	omitted := 0
	for i := range ports {
		r := &ports[i]
		if len(r.Frame) == 0 {
			omitted++
			continue
		}
		number, err := p.number(r)
		if err != nil {
			return err
		}
		id := r.EventID(p.scanID)
		if err := p.w.Commit(appendPacket(p.w.Buf(), r, number, id), batch.Event{Time: r.Time, ID: id, Records: 1}); err != nil {
			return err
		}
	}
	return p.w.omit(omitted)
}

// number is that of the record's interface, which is described when it is first met.
func (p *pcapng) number(r *results.Port) (uint32, error) {
	on := capturedOn{r.Iface, r.Link}
	for i := range p.interfaces {
		if p.interfaces[i] == on {
			return uint32(i), nil
		}
	}
	p.interfaces = append(p.interfaces, on)
	b, block := beginBlock(p.w.Buf(), blockInterface)
	b = binary.LittleEndian.AppendUint16(b, linkTypes[on.link])
	b = append(b, 0, 0) // reserved
	b = binary.LittleEndian.AppendUint32(b, results.MaxFrame)
	b = appendOption(b, optionName, on.name)
	b = appendOption(b, optionTsresol, nanoseconds)
	return uint32(len(p.interfaces) - 1), p.w.Commit(endBlock(b, block), batch.Event{Time: r.Time})
}

// appendPacket appends an Enhanced Packet Block (section 4.3).
func appendPacket(b []byte, r *results.Port, number uint32, id results.EventID) []byte {
	b, block := beginBlock(b, blockPacket)
	b = binary.LittleEndian.AppendUint32(b, number)
	b = binary.LittleEndian.AppendUint32(b, uint32(uint64(r.Time)>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Time))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Frame)))
	b = binary.LittleEndian.AppendUint32(b, max(r.FrameLen, uint32(len(r.Frame))))
	b = pad(append(b, r.Frame...), len(r.Frame))
	b, option := beginOption(b, optionComment)
	b = appendVerdict(b, r, id)
	return endBlock(endOption(b, option), block)
}

// appendVerdict says what was made of the packet, in words that a search in a packet analyser finds.
func appendVerdict(b []byte, r *results.Port, id results.EventID) []byte {
	b = r.Addr.AppendTo(b)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(r.Port), 10)
	b = append(b, "/tcp "...)
	b = append(b, r.Reason.Label()...)
	b = append(b, " ("...)
	b = append(b, r.Reason.String()...)
	b = append(b, ')')
	if r.Router.IsValid() {
		b = append(b, " router "...)
		b = r.Router.AppendTo(b)
	}
	b = append(b, " attempt "...)
	b = strconv.AppendUint(b, uint64(r.Attempt), 10)
	if r.HasRTT {
		b = append(b, " rtt "...)
		b = strconv.AppendInt(b, int64(max(r.RTT, 0)/time.Microsecond), 10)
		b = append(b, " us"...)
	}
	if r.Suspect != 0 {
		b = append(b, " suspect "...)
		b = append(b, r.Suspect.String()...)
	}
	if r.Verified != results.VerifyNone {
		b = append(b, " verified "...)
		b = strconv.AppendBool(b, r.Verified == results.VerifyTrue)
	}
	if name := r.Detected(); name != "" {
		b = append(append(b, " detected "...), name...)
	}
	b = append(b, " event_id "...)
	return id.AppendTo(b)
}

// Events writes nothing: an event is no packet.
func (p *pcapng) Events(events []results.Event) error { return p.w.omit(len(events)) }

// Notices writes nothing, as Events.
func (p *pcapng) Notices(notices []results.Notice) error { return p.w.omit(len(notices)) }

// Hosts writes nothing: a summary rests on no single packet.
func (p *pcapng) Hosts(hosts []results.Host) error { return p.w.omit(len(hosts)) }

// End writes nothing: a section ends with the file, or where the next begins.
func (p *pcapng) End(*results.ScanEnd) error { return p.w.omit(1) }

func (*pcapng) Close() error { return nil }

// beginBlock appends a block's head, whose length endBlock fills in: at tells where the block is.
func beginBlock(b []byte, typ uint32) (buf []byte, at int) {
	at = len(b)
	b = binary.LittleEndian.AppendUint32(b, typ)
	return binary.LittleEndian.AppendUint32(b, 0), at
}

// endBlock ends the options and the block, whose length stands at both of its ends (section 3.1).
func endBlock(b []byte, at int) []byte {
	b = binary.LittleEndian.AppendUint32(b, optionEnd)
	length := uint32(len(b) + 4 - at)
	binary.LittleEndian.PutUint32(b[at+4:], length)
	return binary.LittleEndian.AppendUint32(b, length)
}

func appendOption(b []byte, code uint16, value string) []byte {
	b, at := beginOption(b, code)
	return endOption(append(b, value[:min(len(value), maxOption)]...), at)
}

// beginOption appends an option's head, whose length endOption fills in: at tells where its value is.
func beginOption(b []byte, code uint16) (buf []byte, at int) {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, 0)
	return b, len(b)
}

func endOption(b []byte, at int) []byte {
	length := len(b) - at
	binary.LittleEndian.PutUint16(b[at-2:], uint16(length))
	return pad(b, length)
}

// pad fills up what is so many bytes long to 32 bits.
func pad(b []byte, length int) []byte {
	for ; length%4 != 0; length++ {
		b = append(b, 0)
	}
	return b
}
