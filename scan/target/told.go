package target

import (
	"fmt"
	"strings"
)

// Warning is something that a scan goes on in spite of, for who has asked for it to know. Hint may be ""; it calls the
// fields of Config by their names.
type Warning struct{ Text, Hint string }

// Taken is a prefix that was written with bits beyond its length: 8.8.8.0/16 is taken as 8.8.0.0/16.
type Taken struct{ Text, As string }

// maxTaken is how many of them are kept.
const maxTaken = 100

// warn keeps a warning.
func (l *loader) warn(hint, format string, args ...any) {
	l.warnings = append(l.warnings, Warning{fmt.Sprintf(format, args...), hint})
}

// note keeps what is not as it is written.
func (l *loader) note(e entry, text string) {
	if !e.masked {
		return
	}
	l.numTaken++
	if len(l.taken) < maxTaken {
		prefix, _ := e.addrs.Prefix() // it was made of one
		l.taken = append(l.taken, Taken{text, prefix.String()})
	}
}

// mostTold is how many things of a kind a message names.
const mostTold = 20

// listing names things in a message, and says how many there are besides: n of them in all.
func listing(names []string, n int) string {
	text := strings.Join(names[:min(len(names), mostTold)], ", ")
	if n > mostTold {
		text += fmt.Sprintf(" and %d more", n-mostTold)
	}
	return text
}

// told counts things, and keeps as many as a message names.
type told struct {
	first []string
	n     int
}

func (t *told) add(name string) {
	if t.n++; t.n <= mostTold {
		t.first = append(t.first, name)
	}
}

// idle warns of exclusions that exclude nothing of all that was asked for.
func (l *loader) idle(all ranges) {
	var idle []string
	for i := range l.excluders {
		x := &l.excluders[i]
		if x.addrs.empty() {
			continue // a name that there is not, which is told by itself
		}
		if _, hit := x.addrs.meet(all); !hit {
			idle = append(idle, x.name)
		}
	}
	if len(idle) > 0 {
		l.warn("compare them with the targets: is it the right list?", "nothing excluded by %s: no target is among them", listing(idle, len(idle)))
	}
	if x := l.ExcludePorts; x != nil && !l.portsHit(x) {
		l.warn("", "nothing excluded by ExcludePorts %s: none of them was to be probed", shorten(x.String()))
	}
}

// portsHit reports whether one of the excluded ports was asked for.
func (l *loader) portsHit(x *Ports) bool {
	if l.portless.n > 0 {
		return true
	}
	for port := range x.All() {
		if l.asked != nil && l.asked.Contains(port) {
			return true
		}
	}
	return false
}
