package screen

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"synoptic/results"

	"github.com/mattn/go-runewidth"
)

// Count writes a number with its unit: "1 port", "65,536 ports".
func Count(n uint64, one, many string) string { return results.Count(n, one, many) }

// Grouped writes a number with its thousands apart: "65,536".
func Grouped(n uint64) string { return results.Grouped(n) }

// perSecond writes a rate as it is typed: "9.9k pps".
func perSecond(pps float64) string {
	switch {
	case pps >= 1e6:
		return fmt.Sprintf("%.4gM pps", pps/1e6)
	case pps >= 1e3:
		return fmt.Sprintf("%.4gk pps", pps/1e3)
	}
	return fmt.Sprintf("%.3g pps", pps)
}

func memory(n uint64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.4g KiB", float64(n)/(1<<10))
	}
	return Count(n, "byte", "bytes")
}

// Clock writes a duration for a person: "12ms", "3.3s", "12s", "3m20s", "5h12m", "12 days".
func Clock(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "0s"
	case d < time.Second:
		return max(d.Round(time.Millisecond), time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return whole(d.Round(time.Second))
	case d < 3*day:
		return whole(d.Round(time.Minute))
	case d < 1000*day:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
	return fmt.Sprintf("%.0f years", d.Hours()/24/365)
}

// whole writes a duration of whole seconds without the zeros at its end: "3m", "49h".
func whole(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// roundTrip writes a round trip with as many digits as it has been measured with: "9 µs", "1.2 ms", "310 ms".
func roundTrip(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", max(d, 0).Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// Seconds is a duration that may be longer than a time.Duration can be.
func Seconds(s float64) time.Duration {
	const most = 100 * 365 * 24 * 3600
	return time.Duration(min(s, most) * float64(time.Second))
}

// joinAddrs names the first of a list.
func joinAddrs[A fmt.Stringer](all []A) string {
	const most = 4
	var words []string
	for i, a := range all {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(all)-most))
			break
		}
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// Printable replaces what a terminal would obey instead of showing: names come from files, name
// servers and the targets themselves.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// cells counts the columns that characters take on a terminal: two for an ideograph, none for an accent of its own. It
// does not ask the locale, which is that of this host and not of the terminal.
var cells = runewidth.Condition{}

// width is how many columns a text takes.
func width(s string) int { return cells.StringWidth(s) }

// shorten cuts a text to so many columns.
func shorten(s string, most int) string { return cells.Truncate(s, max(most, 1), "…") }

// pad fills a text up to so many columns.
func pad(s string, columns int) string { return cells.FillRight(s, columns) }

// wrap breaks a line between words so that it fits so many columns, 0 being any; what goes on below is indented, where the
// terminal has room for that. A word that is too long is left to the terminal, so that it is still one to who copies it.
func wrap(line string, columns, indent int) string {
	if columns <= 0 || width(line) <= columns {
		return line
	}
	if indent > columns/3 {
		indent = 2
	}
	var b strings.Builder
	at, words := 0, 0 // of the present line
	for i, word := range strings.Split(line, " ") {
		switch w := width(word); {
		case i == 0:
			b.WriteString(word)
			at += w
		case at+1+w > columns && words > 0:
			b.WriteString("\n" + strings.Repeat(" ", indent) + word)
			at, words = indent+w, 0
		default:
			b.WriteString(" " + word)
			at += 1 + w
		}
		if word != "" {
			words++
		}
	}
	return b.String()
}

// Columns is how wide the terminal is that a file is; 0 where it is none.
func Columns(f *os.File) int { return columnsOf(f) }
