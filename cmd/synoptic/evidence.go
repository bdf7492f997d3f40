package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/sink"
)

// teller stands before the outputs and says on standard error what happens to the evidence, when it happens. These are
// warnings: --quiet does not hide them. What was lost it keeps for the summary.
type teller struct {
	*sink.Tee
	log  *slog.Logger
	note func([]results.Port) // sees the ports
	// named says that beacons were asked for.
	named bool

	lost []string // what is said of the first maxLost of them
	more int      // how many there are besides
}

// maxLost bounds how many parts that stopped answering the summary names.
const maxLost = 8

// Ports shows them to who counts, and hands on.
func (t *teller) Ports(batch []results.Port) error {
	if t.note != nil {
		t.note(batch)
	}
	return t.Tee.Ports(batch)
}

// Events says it, and hands on.
func (t *teller) Events(events []results.Event) error {
	for i := range events {
		e := &events[i]
		t.log.Warn(eventWords(e), eventAttrs(e)...)
		if e.Kind == results.EventLost {
			t.keep(e)
		}
	}
	return t.Tee.Events(events)
}

func (t *teller) keep(e *results.Event) {
	if len(t.lost) == maxLost {
		t.more++
		return
	}
	t.lost = append(t.lost, lostWords(e))
}

// eventWords are the event's own words, or some made of its fields.
func eventWords(e *results.Event) string {
	if e.Message != "" {
		return e.Message
	}
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(e.Kind.String(), "-", " "))
	if what := concerned(e); what != "" {
		b.WriteString(": " + what)
	}
	if e.Cause != "" {
		fmt.Fprintf(&b, " (%s)", e.Cause)
	}
	if e.Again > 0 {
		fmt.Fprintf(&b, ", %s probed again", screen.Count(e.Again, "port is", "ports are"))
	}
	if e.Unknown > 0 {
		fmt.Fprintf(&b, ", %s unknown", screen.Count(e.Unknown, "port is", "ports are"))
	}
	return b.String()
}

// concerned is what an event is about, in words; "" where it is about all.
func concerned(e *results.Event) string {
	switch e.Scope {
	case results.ScopePrefix:
		return e.Prefix.String()
	case results.ScopeHost:
		return e.Prefix.Addr().String()
	case results.ScopeNextHop:
		return "next hop " + e.NextHop.String()
	case results.ScopeInterface:
		return e.Iface
	}
	return ""
}

// lostWords say of what has stopped answering since when.
func lostWords(e *results.Event) string {
	what, at := concerned(e), e.Begin
	if what == "" {
		what = "everything"
	}
	if at == 0 {
		at = e.Time
	}
	unknown := "what was probed there since is" // how much of it that is the end will show
	if e.Unknown > 0 {
		unknown = screen.Count(e.Unknown, "port is", "ports are")
	}
	if e.Cause == results.CauseFirstContacts {
		return "first contacts got lost: " + unknown + " unknown, not filtered"
	}
	return fmt.Sprintf("%s stopped answering at %s: %s unknown, not filtered", what, time.Unix(0, at).Format(time.TimeOnly), unknown)
}

// eventAttrs are the fields for a log collector.
func eventAttrs(e *results.Event) []any {
	attrs := []any{"event", e.Kind.String(), "extent", e.Scope, "cause", e.Cause, "iface", e.Iface}
	if e.NextHop.IsValid() {
		attrs = append(attrs, "next_hop", e.NextHop.String())
	}
	if e.Prefix.IsValid() {
		attrs = append(attrs, "prefix", e.Prefix.String())
	}
	if len(e.MAC) > 0 {
		attrs = append(attrs, "mac", e.MAC.String())
	}
	if len(e.OldMAC) > 0 {
		attrs = append(attrs, "old_mac", e.OldMAC.String())
	}
	if e.Again > 0 {
		attrs = append(attrs, "again", e.Again)
	}
	if e.Unknown > 0 {
		attrs = append(attrs, "unknown", e.Unknown)
	}
	if e.Rate > 0 {
		attrs = append(attrs, "rate_pps", e.Rate)
	}
	return attrs
}

// sumUp warns where the silence of the scan is not to be trusted.
func (t *teller) sumUp(e *results.Evidence, silent uint64) {
	switch {
	case e == nil:
	case e.State == results.EvidenceStateNone && silent > 0:
		words, hint := "nothing has answered at all: silence proves nothing here (evidence: none)", "name a port that answers with Beacons"
		if t.named {
			words, hint = "nothing has answered at all, no beacon either: silence proves nothing here (evidence: none)", "check the path to the targets, and that the ports named with Beacons are open"
		}
		t.log.Warn(words, screen.HintKey, hint, "evidence", e)
	case e.State == results.EvidenceStateLost:
		for _, words := range t.lost {
			t.log.Warn(words)
		}
		if t.more > 0 {
			t.log.Warn(screen.Count(uint64(t.more), "more part", "more parts") + " stopped answering")
		}
		t.log.Warn(fmt.Sprintf("evidence was lost: %s not known to be filtered, for nothing showed that an answer could have come",
			screen.Count(e.Unknown, "port without a response is", "ports without a response are")), "evidence", e)
	}
}
