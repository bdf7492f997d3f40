package screen

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"synoptic/results"
	"synoptic/results/sink"
)

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
	words := []string{Grouped(d.Delivered) + " delivered"}
	for _, w := range []struct {
		n    uint64
		word string
	}{{d.Queued, "queued"}, {d.Retried, "retried"}, {d.Spooled, "spooled"}, {d.Dead, "dead"}} {
		if w.n > 0 {
			words = append(words, Grouped(w.n)+" "+w.word)
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
	return shorten(Printable(name), 20)
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
			return shorten(fmt.Sprintf("delivering: %s wait for %s", Count(d.Queued, "record", "records"), shortName(d.Output)), columns)
		}
	}
	return ""
}

// Deliveries says at the end, on a terminal, what is not plain.
func (v *View) Deliveries(outputs []results.Delivery) {
	if !v.person {
		return
	}
	for _, d := range outputs {
		if words := outputWords(d, 0); words != "" { // in the end nothing should wait
			v.say(words)
		}
	}
}
