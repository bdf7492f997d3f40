package chart

import (
	"fmt"
	"math"
	"strings"
)

// Bar is one line of a panel: a value above 0, or why there is none.
type Bar struct {
	Label   string
	Value   float64
	Written string // the value for people
	Missing string // why there is no value
	Ours    bool
}

// BarPanel is one logarithmic scale with its bars.
type BarPanel struct {
	Title, Unit string
	Bars        []Bar
}

// Of bars, in pixels.
const (
	labelWidth = 300
	valueWidth = 110 // room for the figure behind the longest bar
	barStep    = 26
	barHeight  = 16
	panelHead  = 52
	panelFoot  = 34
)

// Bars makes an SVG document of panels, one below the other.
func Bars(title string, panels []BarPanel) string {
	var w strings.Builder
	height := titleHead
	for _, p := range panels {
		height += panelHead + len(p.Bars)*barStep + panelFoot
	}
	begin(&w, height, title, "")
	y := titleHead
	for _, p := range panels {
		y = p.draw(&w, y)
	}
	w.WriteString("</svg>\n")
	return w.String()
}

// decades are the powers of ten around all values of a panel.
func (p BarPanel) decades() (low, high int) {
	low, high = math.MaxInt, math.MinInt
	for _, b := range p.Bars {
		if b.Value > 0 {
			low = min(low, int(math.Floor(math.Log10(b.Value))))
			high = max(high, int(math.Ceil(math.Log10(b.Value))))
		}
	}
	if low > high {
		return 0, 1
	}
	return low, max(high, low+1)
}

func (p BarPanel) draw(w *strings.Builder, top int) (bottom int) {
	text(w, margin, top+22, "panel", "start", p.Title)
	low, high := p.decades()
	const span = plotWidth - labelWidth - valueWidth
	at := func(value float64) float64 {
		return labelWidth + span*(math.Log10(value)-float64(low))/float64(high-low)
	}
	first := top + panelHead - 14
	last := first + len(p.Bars)*barStep + 4
	for d := low; d <= high; d++ {
		x := at(math.Pow10(d))
		fmt.Fprintf(w, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", x, first, x, last)
		text(w, x, last+16, "faint", "middle", power(d))
	}
	text(w, margin, last+16, "faint", "start", p.Unit+", logarithmic")
	y := first + 4
	for _, b := range p.Bars {
		text(w, labelWidth-8, y+13, "label", "end", b.Label)
		if b.Missing != "" {
			text(w, labelWidth+6, y+13, "faint", "start", short(b.Missing))
		} else {
			class := "theirs"
			if b.Ours {
				class = "ours"
			}
			// The smallest value may lie on the scale's beginning: a bar must be seen.
			length := max(2, at(b.Value)-labelWidth)
			fmt.Fprintf(w, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" class="%s"><title>%s: %s %s</title></rect>`+"\n",
				labelWidth, y, length, barHeight, class, escape(b.Label), escape(b.Written), escape(p.Unit))
			text(w, labelWidth+length+6, y+13, "value", "start", b.Written)
		}
		y += barStep
	}
	return top + panelHead + len(p.Bars)*barStep + panelFoot
}

// short cuts a reason to what fits beside a label.
func short(s string) string {
	const most = 72
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
