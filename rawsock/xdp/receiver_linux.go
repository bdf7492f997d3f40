//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Attach puts the receiver on the interface, on the driver's hook or, if generic, on the kernel's, which
// works with every driver and is slower. From then on every reply is seen; packets that are not ours go
// on to the host. The error Is ErrUnsupported where the driver has no hook. An XDP program that is there
// already is left alone: then the error is an *OccupiedError.
//
// A driver may re-initialise the card for it, which interrupts its traffic for some time; veth does
// not.
func (p *Programs) Attach(generic bool) error {
	flags := link.XDPDriverMode
	if generic {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: p.objects.Receive, Interface: p.config.Interface, Flags: flags})
	if err == nil {
		p.receiver = l
		return nil
	}
	name := fmt.Sprint(p.config.Interface)
	if ifi, err := net.InterfaceByIndex(p.config.Interface); err == nil {
		name = ifi.Name
	}
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		return &OccupiedError{name, err}
	}
	return kernelError("attach XDP program to "+name, err)
}

// TakeOver puts the receiver in the place of another's of the same process, in one step: no packet passes unseen
// between them, and a driver does not re-initialise the card.
func (p *Programs) TakeOver(from *Programs) error {
	if err := from.receiver.Update(p.objects.Receive); err != nil {
		return kernelError("replace XDP program", err)
	}
	p.receiver, from.receiver = from.receiver, nil
	return nil
}

// Next gives the next record, waiting until the deadline; ok is false where none came. The record is
// valid until the next call.
func (p *Programs) Next(deadline time.Time) (r Record, ok bool, err error) {
	p.records.SetDeadline(deadline)
	if err := p.records.ReadInto(&p.record); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return r, false, nil
		}
		return r, false, fmt.Errorf("read XDP records: %w", err)
	}
	r, err = parseRecord(p.record.RawSample)
	return r, err == nil, err
}

// More tells whether a record waits, so that Next would not block.
func (p *Programs) More() bool { return p.records.AvailableBytes() > 0 }

// parseRecord reads struct news or struct raw of bpf/base.h.
func parseRecord(b []byte) (r Record, err error) {
	const header = 24
	if len(b) < header || header+int(b[17]) > len(b) || Kind(b[16]) > Raw {
		return r, fmt.Errorf("read XDP records: %d bytes that are no record", len(b))
	}
	r.Time = time.Duration(binary.LittleEndian.Uint64(b))
	r.Position = binary.LittleEndian.Uint64(b[8:])
	r.Kind = Kind(b[16])
	r.Packet = b[header : header+int(b[17])]
	return r, nil
}

// Tally adds up what the receiver has counted on all CPUs.
func (p *Programs) Tally() (t Tally, err error) {
	var all []scanTally
	if err := p.objects.Tallies.Lookup(uint32(0), &all); err != nil {
		return t, fmt.Errorf("read XDP counters: %w", err)
	}
	var open, closed, filtered uint64 // modulo 2^64
	for i := range all {
		c := &all[i]
		t.Replies += c.Replies
		t.Duplicates += c.Duplicates
		t.Outranked += c.Outranked
		t.Late += c.Late
		t.Invalid += c.Invalid
		t.RingFull += c.RingFull
		t.Overruns += c.Overruns
		t.Resets += c.Resets
		t.Repeated += c.Repeated
		open += c.Open
		closed += c.Closed
		filtered += c.Filtered
	}
	t.Open, t.Closed, t.Filtered = int64(open), int64(closed), int64(filtered)
	return t, nil
}
