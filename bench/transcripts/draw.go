package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Of the drawing, in pixels.
const (
	fontSize   = 14
	charWidth  = 8.43 // of the usual fonts of fixed width, at 14 pixels
	lineHeight = 19
	margin     = 16
	titleBar   = 30
)

// filmStyle is a terminal's: dark on any page. Who wants no movement, and who draws pictures without it, sees the last frame.
const filmStyle = `
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e6edf3; white-space: pre; }
.c32 { fill: #3fb950; } .c33 { fill: #d29922; } .c2 { fill: #8b949e; } .p { fill: #58a6ff; }
g { visibility: hidden; } g.end { visibility: visible; }
@media (prefers-reduced-motion: reduce) { g { animation: none !important; } }
`

// interval is a time in which lines are to be seen.
type interval struct{ from, to time.Duration }

// placed is a line in its row.
type placed struct {
	row  int
	line line
}

// intervals finds when each line stands in which row: a line that stays is drawn once, whatever changes around it.
func (f film) intervals() (order []interval, lines map[interval][]placed) {
	lines = map[interval][]placed{}
	for row := range filmRows {
		var (
			shown line
			since time.Duration
		)
		end := func(at time.Duration) {
			if len(shown) > 0 && at > since {
				i := interval{since, at}
				lines[i] = append(lines[i], placed{row, shown})
			}
		}
		for _, fr := range f.frames {
			var now line
			if row < len(fr.lines) {
				now = fr.lines[row]
			}
			if !slices.Equal(now, shown) {
				end(fr.at)
				shown, since = now, fr.at
			}
		}
		end(f.length)
	}
	for i := range lines {
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b interval) int {
		if a.from != b.from {
			return int(a.from - b.from)
		}
		return int(a.to - b.to)
	})
	return order, lines
}

// draw makes an SVG of the recording that repeats without end.
func (f film) draw() string {
	var styles, body strings.Builder
	order, lines := f.intervals()
	share := func(t time.Duration) string {
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", 100*t.Seconds()/f.length.Seconds()), "0"), ".") + "%"
	}
	for n, i := range order {
		fmt.Fprintf(&styles, ".i%d { animation: i%d %.3fs step-end infinite; } @keyframes i%d { ", n, n, f.length.Seconds(), n)
		if i.from > 0 {
			fmt.Fprint(&styles, "0% { visibility: hidden; } ")
		}
		fmt.Fprintf(&styles, "%s { visibility: visible; } ", share(i.from))
		class := fmt.Sprintf("i%d", n)
		if i.to < f.length {
			fmt.Fprintf(&styles, "%s { visibility: hidden; } ", share(i.to))
		} else {
			class += " end"
		}
		fmt.Fprintln(&styles, "}")
		fmt.Fprintf(&body, "<g class=%q>\n", class)
		for _, p := range lines[i] {
			fmt.Fprintf(&body, "<text x=\"%d\" y=\"%d\">%s</text>\n", margin, titleBar+lineHeight*(p.row+1), p.line.spans())
		}
		fmt.Fprintln(&body, "</g>")
	}
	width, height := 2*margin+int(math.Ceil(charWidth*filmWidth)), titleBar+lineHeight*filmRows+margin
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" xml:space="preserve" role="img">
<title>A recording of synoptic: a sweep of a /22, and a second look at one host</title>
<!-- Made by go run ./bench/transcripts. -->
<style>%[3]s%[4]s</style>
<rect width="%[1]d" height="%[2]d" rx="8" fill="#0d1117"/>
<circle cx="20" cy="16" r="5" fill="#f85149"/><circle cx="38" cy="16" r="5" fill="#d29922"/><circle cx="56" cy="16" r="5" fill="#3fb950"/>
%[5]s</svg>
`, width, height, filmStyle, styles.String(), body.String())
}

// spans is a line with its colours.
func (l line) spans() string {
	var b strings.Builder
	text := l.text()
	if rest, ok := strings.CutPrefix(text, prompt); ok {
		return `<tspan class="p">` + prompt + `</tspan>` + escaped(rest)
	}
	for len(l) > 0 {
		n := slices.IndexFunc(l, func(c cell) bool { return c.colour != l[0].colour })
		if n < 0 {
			n = len(l)
		}
		if part := escaped(l[:n].text()); l[0].colour == "" {
			b.WriteString(part)
		} else {
			fmt.Fprintf(&b, "<tspan class=\"c%s\">%s</tspan>", l[0].colour, part)
		}
		l = l[n:]
	}
	return b.String()
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}
