package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"synoptic/bench"
	"synoptic/bench/chart"
	"synoptic/bench/lab/need"
)

const module = "../.."

// What the document shows is what its command draws, of a size that a page is loaded with at once. Elsewhere products and sums may be rounded
// together (Go specification, "Floating-point operators"), which makes another run of one seed.
func TestPlots(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the plots were drawn on amd64")
	}
	for i := range need.Sample(t, 1, len(pictured), len(pictured)) {
		p := &pictured[i]
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			there, err := os.ReadFile(filepath.Join(module, pictures, p.name+".svg"))
			if err != nil {
				t.Fatal(err)
			}
			if string(there) != p.draw() {
				t.Errorf("go run ./bench/autorate -plots draws another %s.svg", p.name)
			}
			if len(there) > 40_000 {
				t.Errorf("%d bytes", len(there))
			}
			const widest = 78 // characters of a title in bold, in the width of a plot
			if n := len([]rune(p.title)); n > widest {
				t.Errorf("a title of %d characters", n)
			}
		})
	}
}

// The document shows all of them and says what they show.
func TestSection(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(module, document))
	if err != nil {
		t.Fatal(err)
	}
	if now, err := bench.Insert(string(text), "plots", section()); err != nil || now != string(text) {
		t.Errorf("go run ./bench/autorate -plots writes another %s, %v", document, err)
	}
	files, err := filepath.Glob(filepath.Join(module, pictures, "*.svg"))
	if err != nil || len(files) != len(pictured) {
		t.Errorf("%d plots of %d, %v", len(files), len(pictured), err)
	}
}

// drawn is what a chart shows: its texts, and by class the points of its paths, in pixels.
type drawn struct {
	texts []string
	paths map[string][][2]float64
}

func read(t *testing.T, svg string) (d drawn) {
	t.Helper()
	d.paths = map[string][][2]float64{}
	for x := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := x.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "text":
			var s string
			if err := x.DecodeElement(&s, &start); err != nil {
				t.Fatal(err)
			}
			d.texts = append(d.texts, s)
		case "path":
			class, path := start.Attr[0].Value, start.Attr[1].Value
			first, rest, ok := strings.Cut(strings.TrimPrefix(path, "M"), "l")
			if !ok { // of the legend
				continue
			}
			at := pair(t, first)
			d.paths[class] = append(d.paths[class], at)
			for _, step := range strings.Fields(rest) {
				by := pair(t, step)
				at = [2]float64{at[0] + by[0], at[1] + by[1]}
				d.paths[class] = append(d.paths[class], at)
			}
		}
	}
}

func pair(t *testing.T, s string) (at [2]float64) {
	t.Helper()
	x, y, _ := strings.Cut(s, ",")
	for i, s := range []string{x, y} {
		if err := xml.Unmarshal([]byte("<v>"+s+"</v>"), &at[i]); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

// A line goes where its values are, within half a pixel, and values beyond the scale end at its edge; what lies on a straight way takes no
// room.
func TestLines(t *testing.T) {
	wave := chart.Line{Kind: chart.Ours, Label: "a wave <&>"}
	for i := range 1001 {
		x := float64(i) / 100
		wave.Points = append(wave.Points, chart.Point{X: x, Y: 50_000 + 40_000*math.Sin(x)})
	}
	flat := chart.Line{Kind: chart.Bound, Label: "far beyond"}
	for i := range 1001 {
		flat.Points = append(flat.Points, chart.Point{X: float64(i) / 100, Y: 1e9})
	}
	d := read(t, chart.Lines("title", []chart.Column{{Until: 10, Panels: []chart.LinePanel{{Title: "Rate, packets per second", Top: 100_000, Lines: []chart.Line{flat, wave}}}}}))
	for _, want := range []string{"title", "Rate, packets per second", "0", "20k", "100k", "0 s", "1 s", "10 s", "a wave <&>", "far beyond"} {
		if !slices.Contains(d.texts, want) {
			t.Errorf("no text %q in %q", want, d.texts)
		}
	}
	bound := d.paths["bound"]
	if len(bound) != 2 {
		t.Fatalf("%d points of a straight line", len(bound))
	}
	left, top, right := bound[0][0], bound[0][1], bound[1][0]
	ours := d.paths["ours"]
	if len(ours) < 20 || len(ours) > 200 || math.Abs(ours[len(ours)-1][0]-right) > 0.1 {
		t.Errorf("%d points of a wave, up to %v of %v", len(ours), ours[len(ours)-1][0], right)
	}
	const height = 150
	for i, from := range ours[:len(ours)-1] {
		to := ours[i+1]
		x := 10 * ((from[0]+to[0])/2 - left) / (right - left)
		want := top + height*(1-(50_000+40_000*math.Sin(x))/100_000)
		if got := (from[1] + to[1]) / 2; math.Abs(got-want) > 0.5 {
			t.Errorf("at %.2f s drawn at %.1f, want %.1f", x, got, want)
		}
	}
}
