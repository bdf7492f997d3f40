package main

import (
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"synoptic/results"
	"synoptic/results/sink"
)

// logNotice says what happens to an output. It is said with -q too: an output that takes nothing holds
// up the scan.
func logNotice(log *slog.Logger) func(sink.Notice) {
	return func(n sink.Notice) {
		var msg, hint string
		switch {
		case n.Err != nil:
			msg = fmt.Sprintf("records for output %q wait: %v", n.Output, n.Err)
			hint = "it goes on by itself when they are taken; Ctrl-C ends the waiting, and keeps in the --spool what waits, if there is one"
		case n.Warning != nil:
			msg = fmt.Sprintf("output %q: %v", n.Output, n.Warning)
		case n.Kept > 0:
			msg = fmt.Sprintf("%s for output %q stay in the spool: the next scan with the same output and spool delivers them", count(n.Kept, "record", "records"), n.Output)
		case n.Found > 0:
			msg = fmt.Sprintf("%s for output %q from an earlier scan are in the spool, and delivered first", count(n.Found, "record", "records"), n.Output)
		default:
			msg = fmt.Sprintf("output %q goes on after %s", n.Output, clock(n.After))
		}
		log.Warn(msg, hintKey, hint, "output", n.Output)
	}
}

// waiting tells whether a record has been left undelivered.
func waiting(outputs results.Deliverer) bool {
	for _, d := range outputs.Deliveries() {
		if d.Queued > 0 {
			return true
		}
	}
	return false
}

const (
	// plainQueue is what a healthy output may have waiting between two looks at it.
	plainQueue = 1000
	// columns of a progress line.
	columns = 79
)

// outputWords are the counts of an output that is not plain, "siem: 5 delivered, 1,200 queued, 40 retried,
// 7 spooled, 3 dead", or "". Less than plain waiting is plain, and so is what went by the disk and came.
func outputWords(d results.Delivery, plain uint64) string {
	if d.Queued <= plain && d.Retried == 0 && d.Dead == 0 {
		return ""
	}
	words := []string{grouped(d.Delivered) + " delivered"}
	for _, w := range []struct {
		n    uint64
		word string
	}{{d.Queued, "queued"}, {d.Retried, "retried"}, {d.Spooled, "spooled"}, {d.Dead, "dead"}} {
		if w.n > 0 {
			words = append(words, grouped(w.n)+" "+w.word)
		}
	}
	return shortName(d.Output) + ": " + strings.Join(words, ", ")
}

// shortName is the host of a URL, or the last part of a file name, of 20 characters at most.
func shortName(output string) string {
	_, name := sink.Split(output)
	if u, err := url.Parse(name); err == nil && u.Hostname() != "" {
		name = u.Hostname()
	} else {
		name = filepath.Base(name)
	}
	return shorten(printable(name), 20)
}

// shorten cuts a text to so many characters.
func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// withOutputs adds to the progress line what is not plain of the outputs.
func withOutputs(line string, outputs []results.Delivery) string {
	for _, d := range outputs {
		if words := outputWords(d, plainQueue); words != "" {
			line += "  " + words
		}
	}
	return shorten(line, columns)
}

// deliveringLine is the progress after the scan, while outputs are waited for.
func deliveringLine(outputs []results.Delivery) string {
	for _, d := range outputs {
		if d.Queued > 0 {
			return shorten(fmt.Sprintf("delivering: %s wait for %s", count(d.Queued, "record", "records"), shortName(d.Output)), columns)
		}
	}
	return ""
}

// logDead says how many records were refused for good; with -q, too, for they are in no other place than
// the dead-letter file.
func (f *outputFlags) logDead(log *slog.Logger, outputs []results.Delivery) {
	for _, d := range outputs {
		if d.Dead > 0 {
			log.Warn(fmt.Sprintf("output %q refused %s for good", d.Output, count(d.Dead, "record", "records")),
				hintKey, "they are in the dead-letter file, with the reasons: "+f.deadLetterFile(), "output", d.Output, "dead", d.Dead)
		}
	}
}

// deliverySummary says at the end, on a terminal, what is not plain.
func (s *screen) deliverySummary(outputs []results.Delivery) {
	for _, d := range outputs {
		if words := outputWords(d, 0); s.live && words != "" { // in the end nothing should wait
			fmt.Fprintln(s.std.err, printable(words))
		}
	}
}
