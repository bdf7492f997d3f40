package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// bar is one line of a plot: a value, or why there is none.
type bar struct {
	label, written, missing string
	value                   float64
	ours                    bool
}

// panel is one scale with its bars.
type panel struct {
	title, unit string
	bars        []bar
}

// plotOf draws the closed loop; ok is false where it was not measured.
func plotOf(all []*Result) (svg string, ok bool) {
	for _, r := range all {
		if r.Job != "loop" || len(r.Cases) == 0 {
			continue
		}
		c := &r.Cases[0]
		return draw(c.Name+": "+thousands(c.Positions)+" positions, every tool as fast as it can", []panel{
			panelOf(c, "Rate while sending: longer is better", "packets per second", (*Row).pps, 1, whole),
			panelOf(c, "The whole machine's processor time, far end included: shorter is better", "nanoseconds per probe", (*Row).machineCPU, 1000, significant),
		}), true
	}
	return "", false
}

func panelOf(c *Case, title, unit string, figure func(*Row) values, scale float64, format func(float64) string) panel {
	p := panel{title: title, unit: unit}
	for i := range c.Rows {
		r := &c.Rows[i]
		b := bar{label: r.Label, ours: r.Tool == "synoptic", missing: r.nothing()}
		if v := figure(r); b.missing == "" && len(v) > 0 && v.median() > 0 {
			b.value = v.median() * scale
			b.written = format(b.value)
		} else if b.missing == "" {
			b.missing = "too short to say"
		}
		p.bars = append(p.bars, b)
	}
	return p
}

// Of the drawing, in pixels.
const (
	plotWidth  = 860
	labelWidth = 300
	valueWidth = 110 // room for the figure behind the longest bar
	barStep    = 26
	barHeight  = 16
	panelHead  = 52
	panelFoot  = 34
)

// style follows the reader's choice of a light or a dark page; the page itself shows through.
const style = `
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.panel { font-weight: 600; }
.faint { fill: #59636e; font-size: 12px; }
.ours { fill: #0969da; } .theirs { fill: #8c959f; }
line { stroke: #d1d9e0; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .faint { fill: #9198a1; }
  .ours { fill: #4493f8; } .theirs { fill: #6e7681; }
  line { stroke: #3d444d; }
}
`

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// draw makes an SVG document of bars on logarithmic scales.
func draw(title string, panels []panel) string {
	var w strings.Builder
	height := 44
	for _, p := range panels {
		height += panelHead + len(p.bars)*barStep + panelFoot
	}
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		plotWidth, height, plotWidth, height, escape(title))
	fmt.Fprintf(&w, "<style>%s</style>\n", style)
	text(&w, 12, 28, "title", "start", title)
	y := 44
	for _, p := range panels {
		y = p.draw(&w, y)
	}
	w.WriteString("</svg>\n")
	return w.String()
}

func text(w *strings.Builder, x float64, y int, class, anchor, s string) {
	fmt.Fprintf(w, `<text x="%.1f" y="%d" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, escape(s))
}

// decades are the powers of ten around all values of a panel.
func (p panel) decades() (low, high int) {
	low, high = math.MaxInt, math.MinInt
	for _, b := range p.bars {
		if b.value > 0 {
			low = min(low, int(math.Floor(math.Log10(b.value))))
			high = max(high, int(math.Ceil(math.Log10(b.value))))
		}
	}
	if low > high {
		return 0, 1
	}
	return low, max(high, low+1)
}

func (p panel) draw(w *strings.Builder, top int) (bottom int) {
	text(w, 12, top+22, "panel", "start", p.title)
	low, high := p.decades()
	const span = plotWidth - labelWidth - valueWidth
	at := func(value float64) float64 {
		return labelWidth + span*(math.Log10(value)-float64(low))/float64(high-low)
	}
	first := top + panelHead - 14
	last := first + len(p.bars)*barStep + 4
	for d := low; d <= high; d++ {
		x := at(math.Pow10(d))
		fmt.Fprintf(w, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", x, first, x, last)
		text(w, x, last+16, "faint", "middle", power(d))
	}
	text(w, 12, last+16, "faint", "start", p.unit+", logarithmic")
	y := first + 4
	for _, b := range p.bars {
		text(w, labelWidth-8, y+13, "label", "end", b.label)
		if b.missing != "" {
			text(w, labelWidth+6, y+13, "faint", "start", short(b.missing))
		} else {
			class := "theirs"
			if b.ours {
				class = "ours"
			}
			// The smallest value may lie on the scale's beginning: a bar must be seen.
			length := max(2, at(b.value)-labelWidth)
			fmt.Fprintf(w, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" class="%s"><title>%s: %s %s</title></rect>`+"\n",
				labelWidth, y, length, barHeight, class, escape(b.label), escape(b.written), escape(p.unit))
			text(w, labelWidth+length+6, y+13, "value", "start", b.written)
		}
		y += barStep
	}
	return top + panelHead + len(p.bars)*barStep + panelFoot
}

// power writes 10^d for people: 100, 10k, 1M.
func power(d int) string {
	switch {
	case d >= 6:
		return fmt.Sprintf("%.0fM", math.Pow10(d-6))
	case d >= 3:
		return fmt.Sprintf("%.0fk", math.Pow10(d-3))
	}
	return fmt.Sprintf("%g", math.Pow10(d))
}

// short cuts a reason to what fits beside a label.
func short(s string) string {
	const most = 72
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
