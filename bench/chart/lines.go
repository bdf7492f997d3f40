package chart

import (
	"fmt"
	"math"
	"strings"
)

// Point is a value at a time, in seconds.
type Point struct{ X, Y float64 }

// Kind is how a line is drawn.
type Kind string

// The kinds of lines: what is shown, a second one beside it, and dashed what they are held against.
const (
	Ours   Kind = "ours"
	Second Kind = "second"
	Bound  Kind = "bound"
)

// Line is one value over time.
type Line struct {
	Kind   Kind
	Label  string // for the legend; lines of one kind have one label
	Points []Point
}

// LinePanel is one linear scale with its lines.
type LinePanel struct {
	Title string // what is shown, with its unit
	Top   float64
	Lines []Line
}

// Column is panels with a common time, one below the other.
type Column struct {
	Title  string // none: ""
	Until  float64
	Panels []LinePanel
}

// Of lines over time, in pixels.
const (
	scaleWidth  = 56 // left of a column, for the figures of its scale
	columnGap   = 14
	columnHead  = 22
	rowHead     = 30
	rowFoot     = 12
	timeFoot    = 30
	firstHeight = 150 // of the uppermost panel; the others have restHeight
	restHeight  = 80
	swatch      = 22
	charWidth   = 8 // at most, of a legend
)

// lineStyle adds to style what lines need.
const lineStyle = `path { stroke-width: 1.4; stroke-linejoin: round; }
path.ours { fill: none; stroke: #0969da; } path.second { fill: none; stroke: #bc4c00; }
path.bound { fill: none; stroke: #59636e; stroke-dasharray: 5 3; }
@media (prefers-color-scheme: dark) {
  path.ours { stroke: #4493f8; } path.second { stroke: #f0883e; } path.bound { stroke: #9198a1; }
}
`

// Lines makes an SVG document of columns, side by side. All have panels of the same titles.
func Lines(title string, columns []Column) string {
	var w strings.Builder
	rows := len(columns[0].Panels)
	head := titleHead
	if columns[0].Title != "" {
		head += columnHead
	}
	begin(&w, head+rows*(rowHead+rowFoot)+firstHeight+(rows-1)*restHeight+timeFoot, title, lineStyle)
	width := (plotWidth-2*margin)/len(columns) - scaleWidth - columnGap
	for i, c := range columns {
		left := margin + i*(width+scaleWidth+columnGap) + scaleWidth
		text(&w, float64(left), head-8, "label", "start", c.Title)
		top := head
		for j, p := range c.Panels {
			height := restHeight
			if j == 0 {
				height = firstHeight
			}
			if i == 0 {
				text(&w, margin, top+20, "panel", "start", p.Title)
				p.legend(&w, top+20)
			}
			top += rowHead
			area{left, top, width, height, c.Until, p.Top}.draw(&w, &p, j == rows-1)
			top += height + rowFoot
		}
	}
	w.WriteString("</svg>\n")
	return w.String()
}

// legend names the lines of a panel at the right, where there are several.
func (p *LinePanel) legend(w *strings.Builder, y int) {
	if len(p.Lines) < 2 {
		return
	}
	x := plotWidth - margin
	for i := range p.Lines {
		x -= p.Lines[i].legendWidth()
	}
	for i := range p.Lines {
		l := &p.Lines[i]
		fmt.Fprintf(w, `<path class="%s" d="M%d,%dh%d"/>`+"\n", l.Kind, x, y-4, swatch-5)
		text(w, float64(x+swatch), y, "faint", "start", l.Label)
		x += l.legendWidth()
	}
}

func (l *Line) legendWidth() int { return swatch + charWidth*len([]rune(l.Label)) + margin }

// area is where a panel's lines are drawn.
type area struct {
	left, top, width, height int
	until, most              float64 // of the scales
}

func (a area) x(seconds float64) float64 { return float64(a.left) + float64(a.width)*seconds/a.until }

func (a area) y(value float64) float64 {
	return float64(a.top) + float64(a.height)*(1-min(max(value/a.most, 0), 1))
}

func (a area) draw(w *strings.Builder, p *LinePanel, timed bool) {
	bottom := a.top + a.height
	for _, v := range ticks(a.most, 50/float64(a.height)) {
		y := a.y(v)
		fmt.Fprintf(w, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>`+"\n", a.left, y, a.left+a.width, y)
		text(w, float64(a.left-6), int(y)+4, "faint", "end", written(v))
	}
	for _, s := range ticks(a.until, 120/float64(a.width)) {
		fmt.Fprintf(w, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", a.x(s), a.top, a.x(s), bottom+4)
		if timed {
			text(w, a.x(s), bottom+19, "faint", "middle", written(s)+" s")
		}
	}
	for _, l := range p.Lines {
		a.line(w, &l)
	}
}

// fine is how far a line may be drawn from where it is, in pixels.
const fine = 0.3

// line draws one, in steps of a tenth of a pixel and with no more points than are seen.
func (a area) line(w *strings.Builder, l *Line) {
	drawn := make([]Point, 0, len(l.Points))
	for _, p := range l.Points {
		if p.X <= a.until {
			drawn = append(drawn, Point{a.x(p.X), a.y(p.Y)})
		}
	}
	x, y := 0, 0
	for i, p := range thin(drawn) {
		nx, ny := int(math.Round(10*p.X)), int(math.Round(10*p.Y))
		if i == 0 {
			fmt.Fprintf(w, `<path class="%s" d="M%s,%sl`, l.Kind, tenths(nx), tenths(ny))
		} else {
			fmt.Fprintf(w, "%s,%s ", tenths(nx-x), tenths(ny-y))
		}
		x, y = nx, ny
	}
	if len(drawn) > 0 {
		w.WriteString(`"/>` + "\n")
	}
}

// thin leaves out what lies on the way between others (Douglas and Peucker, Cartographica 10, 1973), by its height.
func thin(all []Point) []Point {
	if len(all) < 3 {
		return all
	}
	first, last := all[0], all[len(all)-1]
	far, at := fine, 0
	for i, p := range all[1 : len(all)-1] {
		on := first.Y
		if last.X > first.X {
			on += (last.Y - first.Y) * (p.X - first.X) / (last.X - first.X)
		}
		if d := math.Abs(p.Y - on); d > far {
			far, at = d, i+1
		}
	}
	if at == 0 {
		return []Point{first, last}
	}
	head := thin(all[:at+1])
	return append(head[:len(head)-1:len(head)-1], thin(all[at:])...)
}

func tenths(n int) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/10), ".0")
}

// ticks are the round values from 0 to the most, no further apart than a share of it.
func ticks(most, share float64) (all []float64) {
	step := nice(most * share)
	for i := range int(most/step*1.001) + 1 {
		all = append(all, float64(i)*step)
	}
	return all
}

// nice is the greatest of 1, 2 and 5 times a power of ten that is no more.
func nice(v float64) float64 {
	p := math.Pow10(int(math.Floor(math.Log10(v))))
	for _, m := range []float64{5, 2} {
		if v >= m*p {
			return m * p
		}
	}
	return p
}

// written is a value of a scale for people: 0, 2.5, 20k, 1M.
func written(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.4gM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.4gk", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}
