package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"synoptic/bench/lab/responder"
)

// report is one scan and what there was to find.
type report struct {
	options  options
	seen     *findings
	end      end
	internet responder.Counters
	wall     time.Duration
	cpu      time.Duration // user and system
	memory   int64         // bytes at most, the program's
}

// describe tells a newcomer what is about to be scanned.
func (o options) describe() string {
	c := o.internet
	s := fmt.Sprintf("%v, ports %v: %s ports to probe, %s open, %s closed", o.prefix, o.ports, grouped(o.probes()), percent(c.Open), percent(c.Closed))
	if c.Open+c.Closed < 1 {
		s += ", the rest does not respond"
	}
	for _, x := range []struct {
		share float64
		text  string
	}{
		{1 - c.Alive, "of the addresses do not exist"},
		{c.AnswerAll, "of the hosts open every port"},
		{c.LossIn, "of the packets are lost each way"},
		{c.Duplicates, "of the replies arrive twice"},
	} {
		if x.share > 0 {
			s += fmt.Sprintf("; %s %s", percent(x.share), x.text)
		}
	}
	if c.ResetsPerHost > 0 {
		s += fmt.Sprintf("; at most %d RSTs a second from one address", c.ResetsPerHost)
	}
	return s
}

func (r *report) print(w io.Writer) {
	open, closed := r.seen.count()
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-20s%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(w)
	row("probes sent", "%s, of which %s retries", grouped(r.end.Sent), grouped(r.end.Retransmitted))
	row("time", "%.1f s; %s probes per second while sending (backend %s)", r.wall.Seconds(), grouped(uint64(r.end.PPS)), r.end.Backend)
	row("open ports found", "%s of %s", grouped(r.seen.open), grouped(open))
	row("recall", "%s", recall(r.seen.open, open))
	row("false opens", "%s", grouped(r.seen.wrong+r.seen.outside))
	row("closed ports found", "%s of %s", grouped(r.end.Closed), grouped(closed))
	row("processor", "%.1f s; %.2f s per million probes", r.cpu.Seconds(), r.cpu.Seconds()/float64(max(r.end.Sent, 1))*1e6)
	if r.memory > 0 {
		row("memory", "%.0f MiB at most", float64(r.memory)/(1<<20))
	}
	if c := r.internet; c.LostIn+c.LostOut > 0 {
		row("lost on purpose", "%s probes and %s replies", grouped(c.LostIn), grouped(c.LostOut))
	}
	if c := r.internet; c.Duplicates > 0 {
		row("sent twice", "%s replies; the scan saw %s duplicates and reported %s ports twice", grouped(c.Duplicates), grouped(r.end.Duplicates), grouped(r.seen.duplicated))
	}
	if c := r.internet; c.RateLimited > 0 {
		row("RSTs not sent", "%s, by the limit per host", grouped(c.RateLimited))
	}
	row("dropped in between", "%s probes and %s replies by the link, %s replies by the scanner's kernel", grouped(r.internet.ProbesDropped), grouped(r.internet.RepliesDropped), grouped(r.end.RxDrops))
	if r.internet.ProbesDropped+r.internet.RepliesDropped+r.end.RxDrops > 0 {
		fmt.Fprintln(w, "\nThis machine could not keep up: a lower rate (-- --rate 100k) drops nothing.")
	}
}

// recall is exact where it matters: 100 % is only what missed nothing.
func recall(found, of uint64) string {
	switch {
	case of == 0:
		return "nothing was open"
	case found == of:
		return "100 %"
	}
	// Rounded down, so that one port missed of millions shows.
	return fmt.Sprintf("%.4f %% (%s missed)", float64(found*1_000_000/of)/1e4, grouped(of-found))
}

func percent(share float64) string { return fmt.Sprintf("%.4g %%", 100*share) }

// grouped writes a count with a comma between thousands.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
