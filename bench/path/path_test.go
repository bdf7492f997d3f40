package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// metered is a meter that has read counts, one every 10 ms.
func metered(counts ...uint64) *meter {
	m := &meter{}
	for i, n := range counts {
		m.points = append(m.points, point{at: time.Unix(0, int64(i)*int64(10*time.Millisecond)), count: [2]uint64{n}})
	}
	return m
}

func TestMeter(t *testing.T) {
	m := metered(7, 7, 7, 17, 37, 37, 47, 47)
	probes, first, last := m.span(0)
	at := func(ms int) time.Time { return time.Unix(0, int64(ms)*int64(time.Millisecond)) }
	if probes != 40 || !first.Equal(at(20)) || !last.Equal(at(60)) {
		t.Errorf("%d probes from %v to %v", probes, first.Sub(at(0)), last.Sub(at(0)))
	}
	if d := cmp.Diff([]float64{1500, 500}, m.rates(0, first, last, 20*time.Millisecond)); d != "" {
		t.Error(d)
	}
	if n := m.at(0, at(25)); n != 12 {
		t.Errorf("%v half way between 7 and 17", n)
	}
	if probes, _, _ := metered(3, 3).span(0); probes != 0 {
		t.Errorf("%d probes where none came", probes)
	}
}

// A rate has followed when it has come to stay.
func TestFollowed(t *testing.T) {
	near := slices.Repeat([]float64{900}, nearFor)
	for _, c := range []struct {
		name  string
		rates []float64
		want  float64
	}{
		{"at once", near, 0},
		{"after three looks", append([]float64{4000, 3000, 2000}, near...), 0.15},
		{"it comes by and goes on", slices.Concat(near[1:], []float64{500}, near), 0.25},
		{"never", near[1:], -1},
		{"nothing", nil, -1},
	} {
		if got := followed(c.rates, 1000); got < c.want-1e-9 || got > c.want+1e-9 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestHalves(t *testing.T) {
	low, high := halves(netip.MustParsePrefix("10.64.0.0/15"))
	if low.String() != "10.64.0.0/16" || high.String() != "10.65.0.0/16" {
		t.Errorf("%v and %v", low, high)
	}
}

// Half of the addresses, in parts that lie apart, in each half of the prefix as many.
func TestEveryOther(t *testing.T) {
	half := everyOther(netip.MustParsePrefix("10.64.0.0/16"))
	if len(half) != 16 || half[0].String() != "10.64.0.0/21" || half[1].String() != "10.64.16.0/21" || half[15].String() != "10.64.240.0/21" {
		t.Errorf("%v", half)
	}
}

// The widest targets, those of the table tcp, are none of the links' own addresses.
func TestApartFromLinks(t *testing.T) {
	c := cell{Capacity: 1000, Bits: 12}
	for _, link := range []string{"10.76.0.0/24", "10.78.0.0/24"} {
		if targets := c.way(synFrame).targets; targets.Overlaps(netip.MustParsePrefix(link)) || targets != targets.Masked() {
			t.Errorf("%v and %s", targets, link)
		}
	}
}

// The ideal is what each tool's rule costs at the capacity.
func TestIdeal(t *testing.T) {
	for tool, want := range map[string]float64{"synoptic": 2, "nmap": 1.5, "masscan": 1, "zmap": 1} {
		c := cell{Capacity: 65536, Bits: 16}
		if got := c.ideal(tool); got != want {
			t.Errorf("%s: %v, want %v", tool, got, want)
		}
		c.Loss = 10 // 19 % of the live half get no answer the first time, 3.61 % the second
		again := map[string]float64{"synoptic": (0.19 + 0.0361) / 2, "nmap": 0.19 / 2}[tool]
		if got := c.ideal(tool); got < want+again-1e-9 || got > want+again+1e-9 {
			t.Errorf("%s with loss: %v, want %v", tool, got, want+again)
		}
	}
}

func TestRead(t *testing.T) {
	const stream = `{"type":"scan_start"}
{"type":"port","ip":"10.64.0.1","port":80,"state":"open"}
{"type":"event","event":"limited"}
{"type":"port","ip":"10.64.0.2","port":80,"state":"closed"}
`
	var o outcome
	if err := o.read([]byte(stream)); err == nil {
		t.Error("a stream without an end was taken")
	}
	err := o.read([]byte(stream + `{"type":"scan_end","limited_by":"path-queue","capacity_pps":4900.5,"complete":true}` + "\n"))
	if err != nil || len(o.open) != 1 || !o.open[netip.MustParseAddrPort("10.64.0.1:80")] || o.LimitedBy != "path-queue" || o.Capacity != 4900.5 || !o.Complete {
		t.Errorf("%+v, %v", o, err)
	}
}

// A tool that is not there, one that was stopped, and false finds are said; a recall below one is never written as one.
func TestSaid(t *testing.T) {
	for _, c := range []struct {
		x            tried
		recall, says string
	}{
		{tried{Missing: "not installed"}, "–", "not installed"},
		{tried{Tool: "masscan", Open: 100_000, Found: 99_999, False: 2, outcome: outcome{Wall: 12.3, Stopped: true}}, "0.9999+, 2 false", "stopped after 12 s"},
		{tried{Tool: "synoptic", Open: 4, Found: 3}, "0.7500", "says that it is not complete"},
		{tried{Tool: "synoptic", Open: 4, Found: 4, outcome: outcome{Complete: true}}, "1.0000", ""},
	} {
		if c.x.recall() != c.recall || c.x.says() != c.says {
			t.Errorf("%q, %q; want %q, %q", c.x.recall(), c.x.says(), c.recall, c.says)
		}
	}
}

func TestGrid(t *testing.T) {
	got := grid([]string{"a", "b"}, [][]string{{"1", "2"}})
	if got != "| a | b |\n| --- | --- |\n| 1 | 2 |\n" {
		t.Errorf("%q", got)
	}
	o := options{only: "C 5k", bound: time.Minute, quick: true}
	if s := o.command("tbf"); s != `go run ./bench/path -table tbf -only "C 5k" -bound 1m0s -quick` {
		t.Error(s)
	}
	o.quick = false
	if all := cells(&o); len(all) != 8 || !strings.HasPrefix(all[0].String(), "C 5k, Q 20 ms, RTT 1 ms, loss 0 %") {
		t.Errorf("%d cells, the first %v", len(all), &all[0])
	}
}
