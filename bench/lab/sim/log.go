package sim

import (
	"fmt"
	"net/netip"
	"time"

	"synoptic/results"
)

// Log is what has happened in a network. Times count from its start.
type Log struct {
	Probes  []Probe
	Answers []Answer
	// Unresolved holds on-link addresses that were asked for their link address in vain.
	Unresolved []netip.Addr
	// Malformed says of frames what no probe may be. There should be none.
	Malformed []error
}

// Probe is a frame that a sender has handed over.
type Probe struct {
	At         time.Duration // the driver took it, or refused it
	Begun      time.Duration // the call of Send began
	Ended      time.Duration // and returned
	Addr       netip.Addr
	Port       uint16
	SourcePort uint16
	Lane       uint8
	Fate       Fate
}

// Answer is a packet on its way to the scanner.
type Answer struct {
	Probe      int           // index into Log.Probes; -1 for a stray packet
	Arrives    time.Duration // at the receiver; 0 where it did not get there
	Handed     time.Duration // to the engine, where Fate says so
	Turn       int           // the engine has got so many before it
	Addr       netip.Addr    // the target that it is about
	Port       uint16
	SourcePort uint16
	Reason     results.Reason // ReasonNone: it proves nothing
	Router     netip.Addr     // that sent it, where it is an ICMP error
	TTL        uint8
	Window     uint16
	MSS        uint16
	Bare       bool // a SYN-ACK without any option
	Fate       Fate
}

// Fate is where a packet's way has ended.
type Fate uint8

const (
	InFlight   Fate = iota
	Refused         // by the driver
	Swallowed       // by a link address that nobody has, a dead gateway, or a router without room for another neighbour
	Cut             // by an outage
	Lost            // by chance
	Overflowed      // at a full queue
	Policed         // beyond a policer's rate
	Unanswered      // a probe that got to where nobody says anything
	Answered        // a probe that was answered
	Unheard         // an answer that came in where nobody receives
	Dropped         // an answer that found the ring full
	Handed          // an answer that the engine has read
)

var fates = [...]string{
	"in flight", "refused", "swallowed", "cut", "lost", "overflowed", "policed", "unanswered", "answered", "unheard", "dropped", "handed over",
}

func (f Fate) String() string {
	if int(f) >= len(fates) {
		return fmt.Sprintf("fate(%d)", uint8(f))
	}
	return fates[f]
}

// Count is how many probes and answers have met with each fate.
func (l *Log) Count() (probes, answers map[Fate]int) {
	probes, answers = map[Fate]int{}, map[Fate]int{}
	for i := range l.Probes {
		probes[l.Probes[i].Fate]++
	}
	for i := range l.Answers {
		answers[l.Answers[i].Fate]++
	}
	return probes, answers
}
