package results

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// What may be long in the records of a scan has room for so many bytes, as JSON has them, that the line stays
// under 4 KB in each format that writes messages: with the longest host name, the largest counts, and what
// a format says twice. Receivers cut longer lines, and what is left is not JSON.
const (
	roomArgs    = 1440
	roomOutputs = 700
	roomOutput  = 96  // the name of one
	roomFailure = 160 // why one has failed
	roomReport  = 2400
	roomError   = 360 // twice in ecs and in ocsf
	roomReason  = 200
	roomIface   = 100
	roomSource  = 200 // twice in ecs
	roomScope   = 200 // the name of its file
	roomVersion = 32  // twice in ecs and in ocsf
	roomScanner = 100
	roomDigest  = 64  // of three
	roomWord    = 64  // one for machines, of an event
	roomMessage = 600 // of an event, twice in ecs
	roomPaths   = 200 // of evidence
	roomPhases  = 200
	roomShard   = 48 // I/N
	roomRate    = 32
	roomCount   = 40  // a number of addresses that most scans have not
	roomName    = 32  // one of ours: of a backend, a state, a phase
	roomShow    = 64  // names of states
	roomCovered = 400 // of what is covered: see Cover
)

// more stands where something was cut off.
const more = "…"

// Fit is the record, or a copy of it in which what is too long for its room ends in "…". Fit of what fits
// is the same: a record that was written and is read is written as it was.
func (s *ScanStart) Fit() *ScanStart {
	fit := *s
	fit.Version, fit.Scanner = cut(s.Version, roomVersion), cut(s.Scanner, roomScanner)
	fit.PlanDigest, fit.TargetsDigest, fit.PortsDigest = cut(s.PlanDigest, roomDigest), cut(s.TargetsDigest, roomDigest), cut(s.PortsDigest, roomDigest)
	fit.Args = cutList(s.Args, s.argsRoom())
	fit.BackendReason, fit.Show = cut(s.BackendReason, roomReason), cutList(s.Show, roomShow)
	fit.Iface = cut(s.Iface, roomIface)
	fit.Source = cut(s.Source, roomSource)
	fit.Shard, fit.Rate, fit.Backend = cut(s.Shard, roomShard), cut(s.Rate, roomRate), cut(s.Backend, roomName)
	if s.Scope != nil {
		scope := *s.Scope
		scope.File, scope.SHA256 = cut(scope.File, roomScope), cut(scope.SHA256, roomDigest)
		fit.Scope = &scope
	}
	return &fit
}

// argsRoom is how many bytes the arguments may take, by what else there is.
func (s *ScanStart) argsRoom() int {
	room := roomArgs - len(s.Tags) // which are among the arguments, most often
	if s.Scanner != "" {
		room -= roomScanner
	}
	if s.Unrouted > 0 {
		room -= roomCount
	}
	return room
}

// Squeezed is Fit in less room, for a format that says much besides: the more steps, to MaxSqueeze, the fewer arguments.
func (s *ScanStart) Squeezed(step int) *ScanStart {
	fit := s.Fit()
	if step >= 1 {
		fit.Args = cutList(fit.Args, s.argsRoom()>>step)
		fit.BackendReason = cut(fit.BackendReason, roomReason>>step)
	}
	return fit
}

// Fit is what it is of a ScanStart. Outputs that have no room are summed up in a last one, and so are paths.
func (s *ScanEnd) Fit() *ScanEnd {
	fit := *s
	fit.Scanner = cut(s.Scanner, roomScanner)
	fit.Backend, fit.BackendReason = cut(s.Backend, roomName), cut(s.BackendReason, roomReason)
	fit.Phases, fit.LimitedBy = cutPhases(s.Phases), cut(s.LimitedBy, roomName)
	fit.Covered = cutLast(s.Covered, roomCovered) // what is left out is not covered: less, and nothing wrong
	fit.EstimateVoid = cut(s.EstimateVoid, roomWord)
	fit.Error = cut(s.Error, roomError-len(s.Tags))
	fit.Outputs = cutOutputs(s.Outputs, roomOutputs-len(s.Tags)/4)
	if s.Evidence != nil {
		evidence := *s.Evidence
		evidence.State = cut(evidence.State, roomName)
		evidence.Paths = cutPaths(evidence.Paths, roomPaths)
		fit.Evidence = &evidence
	}
	return &fit
}

// Squeezed is Fit in less room, for a format that says much besides: with every step, from 1 to MaxSqueeze, something goes
// that other fields or the report of deliveries have, too.
func (s *ScanEnd) Squeezed(step int) *ScanEnd {
	fit := s.Fit()
	if step >= 1 && len(fit.Outputs) > 1 {
		fit.Outputs = []Delivery{sum(s.Outputs)}
	}
	if step >= 2 && fit.Evidence != nil {
		evidence := *fit.Evidence
		evidence.Paths = nil
		fit.Evidence = &evidence
	}
	if step >= 3 {
		fit.Error, fit.Phases = cut(fit.Error, roomError/4), nil
	}
	if step >= 4 {
		fit.Outputs, fit.BackendReason = nil, cut(fit.BackendReason, roomReason/4)
	}
	return fit
}

// MaxSqueeze is the last step of either Squeezed.
const MaxSqueeze = 4

// cutPhases shortens their names, and leaves out the last of too many.
func cutPhases(phases []Phase) []Phase {
	all := slices.Clone(phases)
	for i := range all {
		all[i].Name = cut(all[i].Name, roomName)
	}
	return cutLast(all, roomPhases)
}

// cutLast leaves out the last of too many values, which are of numbers and short texts.
func cutLast[T any](all []T, room int) []T {
	for n := len(all); ; n-- {
		if line, _ := json.Marshal(all[:n]); n == 0 || len(line) <= room { // such always marshal
			return all[:n]
		}
	}
}

// cut ends a text that is too long in "…".
func cut(s string, room int) string {
	kept, n := 0, 0
	for i, r := range s {
		if n <= room-len(more) {
			kept = i
		}
		if n += encodedLen(r); n > room {
			return s[:kept] + more
		}
	}
	return s
}

// encodedLen is how many bytes encoding/json makes of a character at most; what is no UTF-8 comes as
// U+FFFD, of which it makes an escape.
func encodedLen(r rune) int {
	switch {
	case r == '"' || r == '\\':
		return 2
	case r < ' ', obeyed(r), r == '<', r == '>', r == '&', r == '\u2028', r == '\u2029', r == '\ufffd':
		return len(`\u0000`)
	}
	return len(string(r))
}

// cutList leaves out the last of too many texts, and says so by "…" in their place.
func cutList(list []string, room int) []string {
	const quotes = len(`"",`)
	kept, n := 0, 0
	for i, s := range list {
		if n <= room-len(more)-quotes {
			kept = i
		}
		n += quotes
		for _, r := range s {
			n += encodedLen(r)
		}
		if n > room {
			return append(slices.Clone(list[:kept]), more)
		}
	}
	return list
}

// cutOutputs shortens their names, and sums up as many of the last as it takes.
func cutOutputs(outputs []Delivery, room int) []Delivery {
	all := slices.Clone(outputs)
	for i := range all {
		all[i].Output, all[i].Error = cut(all[i].Output, roomOutput), cut(all[i].Error, roomFailure)
	}
	for fit, n := all, len(all); ; fit = append(slices.Clone(all[:n]), sum(all[n:])) {
		if line, _ := json.Marshal(fit); n == 0 || len(line) <= room { // counts always marshal
			return fit
		}
		n--
	}
}

// cutPaths sums up as many of the last as it takes.
func cutPaths(paths []PathEvidence, room int) []PathEvidence {
	all := slices.Clone(paths)
	for i := range all {
		all[i].Iface = cut(all[i].Iface, roomIface)
	}
	for fit, n := all, len(all); ; {
		if line, _ := json.Marshal(fit); n == 0 || len(line) <= room { // counts and addresses always marshal
			return fit
		}
		n--
		rest := PathEvidence{Iface: fmt.Sprintf("%s %d more", more, len(all)-n)}
		for _, p := range all[n:] {
			rest.Asked, rest.Answered = rest.Asked+p.Asked, rest.Answered+p.Answered
		}
		fit = append(slices.Clone(all[:n]), rest)
	}
}

// sum adds up all counts that a Delivery has.
func sum(outputs []Delivery) Delivery {
	total := Delivery{Output: fmt.Sprintf("%s %d more", more, len(outputs))}
	to := reflect.ValueOf(&total).Elem()
	for i := range outputs {
		from := reflect.ValueOf(&outputs[i]).Elem()
		for k := range to.NumField() {
			if to.Field(k).CanUint() {
				to.Field(k).SetUint(to.Field(k).Uint() + from.Field(k).Uint())
			}
		}
	}
	return total
}
