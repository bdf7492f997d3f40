package results

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"synoptic/results/coverage"
)

// said is what a stream of records says was asked.
func said(t interface{ Fatal(...any) }, stream []byte) ([]AskedPart, error) {
	var a Assembly
	r := NewReader(bytes.NewReader(stream))
	for into := new(Records); ; {
		switch err := r.Read(into); {
		case errors.Is(err, io.EOF):
			return a.Parts()
		case err != nil:
			t.Fatal(err)
		}
		for _, n := range into.Notices {
			a.Add(n)
		}
		if into.End != nil {
			a.End(into.End)
		}
	}
}

// Plans and coverage come back as they were, however long, and whatever of a record gets lost, too little is covered and not too much.
func TestWhatWasAskedComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type part struct {
			text    string
			covered *coverage.Set
		}
		var parts []part
		var sets []*coverage.Set
		var lines [][]byte
		add := func(n Notice) {
			line, err := n.AppendJSON(nil)
			if err != nil || len(line) >= maxRecord {
				t.Fatalf("%d bytes, %v", len(line), err)
			}
			lines = append(lines, append(line, '\n'))
		}
		n := rapid.IntRange(1, 3).Draw(t, "parts")
		for i := range n {
			p := part{text: drawnText(rapid.IntRange(0, 3000).Draw(t, "lines"), rapid.Uint64().Draw(t, "text"))}
			var ranges []coverage.Range
			at := uint64(0)
			r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "ranges"), 1))
			for range rapid.SampledFrom([]int{0, 1, 2, 5, 150, 151, 1000}).Draw(t, "number of ranges") {
				at += 1 + r.Uint64N(1<<r.Uint64N(37))
				begin := at
				at += 1 + r.Uint64N(1<<r.Uint64N(37))
				ranges = append(ranges, coverage.Range{Begin: begin, End: at})
			}
			p.covered = coverage.Of(ranges...)
			parts, sets = append(parts, p), append(sets, p.covered)
			pieces, err := PlanPieces(PlanPiece{ScanID: testScan, Part: i + 1, Parts: n, Seed: uint64(i), Begin: 3, End: at + 4}, func(w io.Writer) error {
				_, err := io.WriteString(w, p.text)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, piece := range pieces {
				add(piece)
			}
		}
		plans := len(lines)
		end := ScanEnd{ScanID: testScan}
		for _, piece := range end.Cover(sets) {
			add(piece)
		}
		line, err := end.AppendJSON(nil)
		if err != nil || len(line) >= maxRecord {
			t.Fatalf("%d bytes, %v", len(line), err)
		}
		lines = append(lines, append(line, '\n'))
		got, err := said(t, bytes.Join(lines, nil))
		if err != nil || len(got) != n {
			t.Fatalf("%d parts, %v", len(got), err)
		}
		for i, p := range got {
			if p.Part != i+1 || string(p.Text) != parts[i].text || p.Seed != uint64(i) || p.Begin != 3 || !p.Covered.Equal(parts[i].covered) {
				t.Fatalf("part %d: %+v\n%v, want %v", i+1, p.Plan, p.Covered, parts[i].covered)
			}
		}
		lost := rapid.IntRange(0, len(lines)-1).Draw(t, "line that is lost")
		got, err = said(t, bytes.Join(append(append([][]byte{}, lines[:lost]...), lines[lost+1:]...), nil))
		if (err != nil) != (lost < plans) || len(got) < n-1 {
			t.Fatalf("without line %d of %d: %d parts, %v", lost, len(lines), len(got), err)
		}
		for _, p := range got {
			if more := p.Covered.Minus(parts[p.Part-1].covered); more.Len() > 0 || string(p.Text) != parts[p.Part-1].text {
				t.Fatalf("without line %d of %d part %d has more covered: %v", lost, len(lines), p.Part, more)
			}
		}
	})
}

// drawnText has so many lines that do not compress well.
func drawnText(lines int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 2))
	var b strings.Builder
	for range lines {
		fmt.Fprintf(&b, "10.%d.%d.%d-10.255.255.255\n", r.IntN(256), r.IntN(256), r.IntN(256))
	}
	return b.String()
}

// Records that nobody has written are an error, or say less.
func TestAssemblyOfDamagedRecords(t *testing.T) {
	good, err := PlanPieces(PlanPiece{ScanID: testScan, Part: 1, Parts: 1, End: 5}, func(w io.Writer) error {
		_, err := io.WriteString(w, drawnText(1000, 3))
		return err
	})
	if err != nil || len(good) < 2 {
		t.Fatalf("%d pieces, %v", len(good), err)
	}
	piece := func(change func(*PlanPiece)) []Notice {
		p := *good[0].(*PlanPiece)
		change(&p)
		return append([]Notice{&p}, good[1:]...)
	}
	for name, c := range map[string]struct {
		notices []Notice
		want    string
	}{
		"another digest":      {piece(func(p *PlanPiece) { p.SHA256 = strings.Repeat("0", 64) }), "digest"},
		"not compressed":      {piece(func(p *PlanPiece) { p.Gzip = []byte("nonsense") }), "gzip"},
		"cut":                 {good[:len(good)-1], "not in the records"},
		"without a beginning": {good[1:], "not in the records"},
		"many pieces":         {piece(func(p *PlanPiece) { p.Pieces = 1 << 62 }), "not in the records"},
		"reversed":            {piece(func(p *PlanPiece) { p.Begin = 6 }), "before they begin"},
		"no ranges":           {append(piece(func(*PlanPiece) {}), &CoveragePiece{Part: 1, Piece: 1, Ranges: []byte{1, 0}}), "not a set"},
		"good":                {good, ""},
	} {
		var a Assembly
		for _, n := range c.notices {
			a.Add(n)
		}
		parts, err := a.Parts()
		if (err == nil) != (c.want == "") || err != nil && (len(parts) > 0 || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	var a Assembly
	if parts, err := a.Parts(); len(parts) > 0 || err != nil {
		t.Errorf("of nothing: %v, %v", parts, err)
	}
}
