package main

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
)

var (
	durations = regexp.MustCompile(`\b([0-9][0-9.]*(ns| µs|ms|s|m|h))+\b`)
	sent      = regexp.MustCompile(`[0-9,]+ probes sent`)
	beacons   = regexp.MustCompile(`[0-9,]+ of [0-9,]+ probes to ports`)
	moment    = regexp.MustCompile(`"ts":"[^"]*"|"[a-z_]*(id|digest)":"[^"]*"|"(seed|rtt_us|ipid)":[0-9]+`)
	iface     = regexp.MustCompile(`\bvia [a-z0-9]+,`)
	progress  = regexp.MustCompile(`^ *[0-9.]+%  `)
	figures   = regexp.MustCompile(`[0-9][0-9.,:]*[kM%]?`)
	missed    = regexp.MustCompile(` \([0-9,]+ missed\)`)
	spaces    = regexp.MustCompile(` {2,}`)
)

// alike is what two runs of a transcript have in common: no durations, no round trips, no identifiers, and the rows in
// one order, for probes go in a random one.
func alike(lines []string) []string {
	var out []string
	for _, l := range lines {
		if l = constant(l); !progress.MatchString(l) && l != "" {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	return out
}

// constant is the part of a line that every run has.
func constant(l string) string {
	l = moment.ReplaceAllString(l, "")
	l = iface.ReplaceAllString(l, "via IF,")
	l = sent.ReplaceAllString(l, "N probes sent")
	l = beacons.ReplaceAllString(l, "N of N probes to ports")
	l = durations.ReplaceAllString(l, "")
	return strings.TrimSpace(spaces.ReplaceAllString(l, "  "))
}

// kind is a line without its figures: what is left says what sort of line it is.
func kind(l string) string {
	l = figures.ReplaceAllString(constant(l), "#")
	return strings.ReplaceAll(strings.TrimSpace(spaces.ReplaceAllString(l, " ")), " #", "")
}

// likely are the kinds of lines of a run that is another every time.
func likely(lines []string) []string {
	var out []string
	for _, l := range lines {
		if !strings.HasPrefix(l, "This machine could not keep up") {
			out = append(out, missed.ReplaceAllString(l, ""))
		}
	}
	out, _ = kinds(out)
	return out
}

// kinds are those of many lines, each once. Progress lines come by chance, and are a set of their own.
func kinds(lines []string) (steady, moving []string) {
	for _, l := range lines {
		switch k := kind(l); {
		case k == "":
		case progress.MatchString(l), strings.HasPrefix(l, "verifying "), strings.HasPrefix(l, "resolving "):
			moving = append(moving, k)
		default:
			steady = append(steady, k)
		}
	}
	slices.Sort(steady)
	slices.Sort(moving)
	return slices.Compact(steady), slices.Compact(moving)
}

// texts are all lines that a drawing shows at any time, without the commands that are typed.
func texts(svg string) (lines []string, err error) {
	d := xml.NewDecoder(strings.NewReader(svg))
	var text *strings.Builder
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "text" {
				text = &strings.Builder{}
			}
		case xml.CharData:
			if text != nil {
				text.Write(token)
			}
		case xml.EndElement:
			if token.Name.Local == "text" {
				if l := text.String(); !strings.HasPrefix(l, prompt) {
					lines = append(lines, l)
				}
				text = nil
			}
		}
	}
}
