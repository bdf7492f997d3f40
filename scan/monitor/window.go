package monitor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Windows are the times in which nothing is probed. The zero value has none.
//
// A window holds while a clock on the wall shows a time in it. Where clocks are put back, an hour in a window is in it both
// times; an hour that is left out is missing from the window, too.
type Windows struct {
	list []window
	zone *time.Location
}

// window is a span of a day in minutes since midnight, from included and to not; with to ≤ from it ends on the next day.
type window struct {
	from, to int
	days     [7]bool // on which it begins, by time.Weekday
}

const (
	minutesOfDay = 24 * 60
	minute       = int64(time.Minute)
)

// with is these windows and others.
func (w Windows) with(other Windows) Windows {
	if w.zone == nil {
		return other
	}
	return Windows{append(append([]window(nil), w.list...), other.list...), w.zone}
}

// Open tells whether probes may leave at a time.
func (w Windows) Open(now int64) bool {
	if len(w.list) == 0 {
		return true
	}
	t := time.Unix(0, now).In(w.zone)
	at, day := t.Hour()*60+t.Minute(), t.Weekday()
	before := (day + 6) % 7
	for i := range w.list {
		x := &w.list[i]
		switch {
		case x.to > x.from && x.days[day] && x.from <= at && at < x.to:
			return false
		case x.to <= x.from && (x.days[day] && at >= x.from || x.days[before] && at < x.to):
			return false
		}
	}
	return true
}

// leastHorizon is how far ahead Least looks: a week and a day, as days of the week may be named and one may be short.
const leastHorizon = 8 * 24 * time.Hour

// Least is the least time that is open in any span of that length which begins in the eight days from now on, to the minute.
func (w Windows) Least(span time.Duration, now int64) time.Duration {
	if len(w.list) == 0 {
		return span
	}
	begin := now / minute
	n, length := int(leastHorizon/time.Minute), int(span/time.Minute)
	open := make([]int32, n+length+1) // open minutes before
	for i := range n + length {
		open[i+1] = open[i]
		if w.Open((begin + int64(i)) * minute) {
			open[i+1]++
		}
	}
	least := int32(length)
	for i := range n {
		least = min(least, open[i+length]-open[i])
	}
	return time.Duration(least) * time.Minute
}

// never tells whether they leave no time at all.
func (w Windows) never() bool { return len(w.list) > 0 && w.Least(leastHorizon, 0) == 0 }

// zoneFirst finds the time zone, which windows before it in the file need.
func (r *reader) zoneFirst(root *yaml.Node) error {
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		if key, v := root.Content[i], root.Content[i+1]; key.Value == "time_zone" {
			zone, err := time.LoadLocation(v.Value)
			if err != nil || v.Kind != yaml.ScalarNode || v.Value == "" {
				return refuse(v.Line, "time_zone", "give a name of the IANA time zone database, such as Europe/Berlin, or UTC", "time_zone: %q is not known here", v.Value)
			}
			r.zone = zone
		}
	}
	return nil
}

// windows reads a list of {not: 08:00-18:00, days: mon-fri}.
func (r *reader) windows(node *yaml.Node) (Windows, error) {
	all := Windows{zone: r.zone}
	err := list(node, "windows", func(entry *yaml.Node) error {
		x := window{from: -1, days: [7]bool{true, true, true, true, true, true, true}}
		err := mapping(entry, "windows", keys{
			"not":  func(v *yaml.Node) (err error) { x.from, x.to, err = timesOf(v); return err },
			"days": func(v *yaml.Node) (err error) { x.days, err = daysOf(v); return err },
		}, nil)
		if err == nil && x.from < 0 {
			err = refuse(entry.Line, "windows", "write not: 08:00-18:00", "windows: an entry does not say when")
		}
		all.list = append(all.list, x)
		return err
	})
	return all, err
}

// timesOf reads 08:00-18:00.
func timesOf(v *yaml.Node) (from, to int, err error) {
	a, b, ok := strings.Cut(v.Value, "-")
	from, okA := clock(a)
	to, okB := clock(b)
	switch {
	case !ok || !okA || !okB || from == minutesOfDay || to == 0 && from == 0:
		return 0, 0, refuse(v.Line, "windows", "write the times as in not: 08:00-18:00; 24:00 is the end of a day", "windows: %q are no times of a day", v.Value)
	case from == to:
		return 0, 0, refuse(v.Line, "windows", "for whole days write not: 00:00-24:00", "windows: %q ends when it begins", v.Value)
	}
	return from, to, nil
}

// clock reads hh:mm in minutes since midnight, up to 24:00.
func clock(s string) (int, bool) {
	h, m, ok := strings.Cut(strings.TrimSpace(s), ":")
	if !ok || len(h) < 1 || len(h) > 2 || len(m) != 2 {
		return 0, false
	}
	hour, errH := strconv.ParseUint(h, 10, 8)
	minutes, errM := strconv.ParseUint(m, 10, 8)
	at := int(hour)*60 + int(minutes)
	return at, errH == nil && errM == nil && minutes < 60 && at <= minutesOfDay
}

var dayNames = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// daysOf reads mon-fri, or sat,sun, or a list of them.
func daysOf(v *yaml.Node) (days [7]bool, err error) {
	words := strings.Split(v.Value, ",")
	if v.Kind == yaml.SequenceNode {
		words = nil
		for _, entry := range v.Content {
			words = append(words, entry.Value)
		}
	}
	for _, word := range words {
		a, b, isRange := strings.Cut(strings.ToLower(strings.TrimSpace(word)), "-")
		if !isRange {
			b = a
		}
		first, last := day(a), day(b)
		if first < 0 || last < 0 {
			return days, refuse(v.Line, "windows", fmt.Sprintf("the days are %s; mon-fri is a range", strings.Join(dayNames[:], ", ")), "windows: %q is no day", word)
		}
		for d := first; ; d = (d + 1) % 7 {
			days[d] = true
			if d == last {
				break
			}
		}
	}
	return days, nil
}

func day(name string) int {
	for i, d := range dayNames {
		if strings.TrimSpace(name) == d {
			return i
		}
	}
	return -1
}
