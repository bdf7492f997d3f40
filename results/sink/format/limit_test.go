package format

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/results/sink/batch"
)

// bloat fills a record with what takes most room: r decides how much of it.
func bloat(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if r.IntN(8) > 0 && v.Type() != reflect.TypeFor[*results.Hostnames]() {
			v.Set(reflect.New(v.Type().Elem()))
			bloat(r, v.Elem())
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		for range [...]int{0, 1, 3, 40}[r.IntN(4)] {
			e := reflect.New(v.Type().Elem()).Elem()
			bloat(r, e)
			v.Set(reflect.Append(v, e))
		}
	case reflect.Struct:
		switch v.Type() {
		case reflect.TypeFor[results.Time]():
			return
		case reflect.TypeFor[netip.Addr]():
			v.Set(reflect.ValueOf(netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%zzzzzzzzzzzzzzz")))
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				bloat(r, f)
			}
		}
	case reflect.String:
		if v.Type() == reflect.TypeFor[results.Tags]() {
			if r.IntN(2) == 0 {
				v.SetString(string(longestTags()))
			}
			return
		}
		unit := [...]string{"\x00", "<", "\"", "é", "\u2028", "\xff", "😀", "x", "\u0085", "\x1b", "\u200b"}[r.IntN(11)]
		v.SetString(strings.Repeat(unit, [...]int{0, 1, 15, 33, 64, 101, 300, 5000}[r.IntN(8)]))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	default:
		switch {
		case v.CanUint():
			v.SetUint(math.MaxUint64 >> (64 - v.Type().Bits()))
		case v.CanInt():
			v.SetInt(math.MinInt64 >> (64 - v.Type().Bits()))
		case v.CanFloat():
			v.SetFloat(-math.Pi / 1e9)
		}
	}
}

// No record of a scan's life, whatever stands in it, makes a line of 4 KB: not in any format that writes messages.
func TestNothingPassesTheLimit(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	longest := map[string]int{}
	for range need.Sample(t, 200, 2000, 5000) {
		var start results.ScanStart
		var end results.ScanEnd
		var event results.Event
		var report results.DeliveryReport
		var change results.Change
		var plan results.PlanPiece
		var covered results.CoveragePiece
		var supervision results.Supervision
		for _, record := range []any{&start, &end, &event, &report, &change, &plan, &covered, &supervision} {
			bloat(r, reflect.ValueOf(record).Elem())
		}
		start.ScanID, end.ScanID, report.ScanID = testScanID, testScanID, testScanID
		change.ScanID, plan.ScanID, covered.ScanID, supervision.ScanID = testScanID, testScanID, testScanID, testScanID
		change.Change = results.ChangeKind(1 + r.IntN(results.NumChangeKinds-1))
		for name, f := range formats {
			if !f.Messages {
				continue
			}
			w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) {
				for line := range bytes.Lines(b.Data) {
					longest[name] = max(longest[name], len(line))
					if len(line) >= maxEvent {
						t.Errorf("seed %d: %s: %d bytes: %.1500s", seed, name, len(line), line)
					}
				}
				return &batch.Batch{}, nil
			})
			e := f.New(w, Options{Hostname: strings.Repeat("s", 253)})
			if err := e.Start(&start); err != nil {
				t.Fatal(err)
			}
			if err := e.Events([]results.Event{event}); err != nil {
				t.Fatal(err)
			}
			if err := e.Notices([]results.Notice{&change, &plan, &covered, &supervision}); err != nil {
				t.Fatal(err)
			}
			if err := e.End(&end); err != nil {
				t.Fatal(err)
			}
			if reporter, ok := e.(Reporter); ok {
				if err := reporter.Report(&report); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("the longest lines: %v", longest)
}
