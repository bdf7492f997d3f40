// Package chart draws the plots of the documents as SVG: call Bars for values beside each other, Lines for what happens over time. A plot
// follows the reader's choice of a light or a dark page.
package chart

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// Of every drawing, in pixels.
const (
	plotWidth = 860
	margin    = 12
	titleHead = 44
)

// style is that of all plots; the page itself shows through.
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

// begin opens a document of a height with its title.
func begin(w *strings.Builder, height int, title, moreStyle string) {
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		plotWidth, height, plotWidth, height, escape(title))
	fmt.Fprintf(w, "<style>%s%s</style>\n", style, moreStyle)
	text(w, margin, 28, "title", "start", title)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

func text(w *strings.Builder, x float64, y int, class, anchor, s string) {
	fmt.Fprintf(w, `<text x="%.1f" y="%d" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, escape(s))
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
