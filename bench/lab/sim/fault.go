package sim

import (
	"net/netip"
	"time"
)

// Kind is what goes wrong.
type Kind uint8

const (
	PathOut      Kind = iota + 1 // nothing gets through, either way
	CarrierOut                   // of a link: the driver takes no frames, nothing comes in
	LinkDown                     // of a link: its sockets are told that it is gone
	HopOut                       // a gateway swallows what it is given, and tells no link address
	NewMAC                       // a gateway has another link address; frames to the old one are swallowed
	PrefixOut                    // hosts say nothing
	RSTStorm                     // every probe to the prefix is answered by a RST, and by nothing else
	TxFull                       // of a link: the driver has little room or none
	TxError                      // of a link: the driver refuses Share of the frames
	SendStall                    // senders stand still inside their call
	ReceiveStall                 // receivers stand still
)

// Fault goes wrong from Begin until End, counted from the start of the network; End 0 is never. Of the fields
// that name something, those that a kind does not use are ignored, and a zero value is all there are.
type Fault struct {
	Kind       Kind
	Begin, End time.Duration
	Prefix     netip.Prefix // PrefixOut, RSTStorm
	Link       string       // CarrierOut, LinkDown, TxFull, TxError, SendStall, ReceiveStall
	Gateway    netip.Addr   // HopOut, NewMAC
	Share      float64      // TxError; 0 is all
	Silent     bool         // NewMAC: the gateway does not announce it
}

func (f *Fault) holds(k Kind, at time.Duration) bool {
	return f.Kind == k && at >= f.Begin && (f.End == 0 || at < f.End)
}

// faults are those of a network; asking is a walk over a handful.
type faults []Fault

func (all faults) path(at time.Duration) bool {
	for i := range all {
		if all[i].holds(PathOut, at) {
			return true
		}
	}
	return false
}

func (all faults) prefix(k Kind, at time.Duration, a netip.Addr) bool {
	for i := range all {
		if f := &all[i]; f.holds(k, at) && (!f.Prefix.IsValid() || f.Prefix.Contains(a)) {
			return true
		}
	}
	return false
}

func (all faults) hop(at time.Duration, gateway netip.Addr) bool {
	for i := range all {
		if f := &all[i]; f.holds(HopOut, at) && (!f.Gateway.IsValid() || f.Gateway == gateway) {
			return true
		}
	}
	return false
}

// changes is how often a gateway has got a new link address.
func (all faults) changes(at time.Duration, gateway netip.Addr) (n uint64) {
	for i := range all {
		if f := &all[i]; f.holds(NewMAC, at) && (!f.Gateway.IsValid() || f.Gateway == gateway) {
			n++
		}
	}
	return n
}

// anyLink is a name that stands for every link.
const anyLink = "*"

// of tells whether a fault is about a link.
func (f *Fault) of(name string) bool { return f.Link == "" || f.Link == name || name == anyLink }

// link gives the fault of a kind that a link has at a moment, or nil.
func (all faults) link(k Kind, at time.Duration, name string) *Fault {
	for i := range all {
		if f := &all[i]; f.holds(k, at) && f.of(name) {
			return f
		}
	}
	return nil
}

// ever tells whether there is a fault of a kind at all.
func (all faults) ever(k Kind) bool {
	for i := range all {
		if all[i].Kind == k {
			return true
		}
	}
	return false
}

// next is when the first fault of a kind begins on a link after a moment, or never.
func (all faults) next(k Kind, after time.Duration, name string) time.Duration {
	first := never
	for i := range all {
		if f := &all[i]; f.Kind == k && f.Begin > after && f.of(name) {
			first = min(first, f.Begin)
		}
	}
	return first
}

// left is how long a fault still lasts.
func (f *Fault) left(at time.Duration) time.Duration {
	if f.End == 0 {
		return never
	}
	return f.End - at
}

// never is later than all that is simulated.
const never = time.Duration(1 << 62)
