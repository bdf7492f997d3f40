package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// maxRecord is what a line with its end must stay below.
const maxRecord = 4096

// However long its texts and lists are, a record fits into its line, and comes back as it was written.
func TestRecordsFit(t *testing.T) {
	texts := func(t *rapid.T, v reflect.Value) {
		for i := range v.NumField() {
			f, name := v.Field(i), v.Type().Field(i).Name
			// What we make ourselves, of a known length.
			if f.Kind() == reflect.String && !slices.Contains([]string{"ScanID", "Shard", "Rate", "Backend", "Tags"}, name) {
				f.SetString(strings.Repeat(f.String(), rapid.SampledFrom([]int{1, 20, 10_000}).Draw(t, "times "+name)))
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var start ScanStart
		var end ScanEnd
		fill(t, reflect.ValueOf(&start).Elem(), "")
		fill(t, reflect.ValueOf(&end).Elem(), "")
		start.ScanID, start.Shard, start.Rate, start.Backend = testScan, "1/2", "1000", "afpacket"
		end.ScanID, end.Backend = testScan, "afpacket"
		texts(t, reflect.ValueOf(&start).Elem())
		texts(t, reflect.ValueOf(&end).Elem())
		if start.Scope != nil {
			start.Scope.SHA256 = strings.Repeat("0", 64)
			start.Scope.File = strings.Repeat(start.Scope.File, rapid.IntRange(1, 1000).Draw(t, "scope"))
		}
		start.Args = slices.Repeat(start.Args, rapid.SampledFrom([]int{1, 50, 10_000}).Draw(t, "args"))
		end.Outputs = slices.Repeat(end.Outputs, rapid.SampledFrom([]int{1, 3, 25}).Draw(t, "outputs"))
		for _, line := range scanRecords(t, &start, &end) {
			if len(line) >= maxRecord {
				t.Fatalf("%d bytes: %s", len(line), line)
			}
			stream := append(line, '\n')
			got, errs := rewrite(NewReader(bytes.NewReader(stream)))
			if len(errs) > 0 || !bytes.Equal(got, stream) {
				t.Fatalf("errors %v\ngot  %s\nwant %s", errs, got, stream)
			}
		}
	})
}

// What is cut says so, what fits is whole, and the caller's record is not touched.
func TestFit(t *testing.T) {
	start := ScanStart{
		Args: slices.Repeat([]string{"192.0.2.0/24"}, 500), Iface: strings.Repeat("eth0,", 100),
		Source: strings.Repeat("192.0.2.1,", 100), BackendReason: strings.Repeat("\xff", 1000), Scope: &Scope{File: strings.Repeat("/é", 1000)},
	}
	end := ScanEnd{Error: strings.Repeat("<", 20_000), BackendReason: "asked for"}
	for i := range 100 {
		n := uint64(i)
		end.Outputs = append(end.Outputs, Delivery{Output: fmt.Sprint("ecs:/", i, strings.Repeat("/long", 100)), Delivered: n, Queued: 2 * n, Retried: 3 * n, Spooled: 4 * n, Dead: 5 * n})
	}
	whole := []ScanStart{start, {Args: start.Args[:96], Iface: start.Iface[:100], Source: start.Source[:200]}}
	fit := start.Fit()
	if n := len(fit.Args); n < 90 || n > 120 || fit.Args[n-1] != "…" || fit.Args[n-2] != start.Args[0] {
		t.Errorf("%d arguments, the last %q", n, fit.Args[n-1])
	}
	for text, room := range map[string]int{fit.Iface: 100, fit.Source: 200, fit.Scope.File: 200} {
		if len(text) > room || len(text) < room-3 || !strings.HasSuffix(text, "…") || strings.ContainsRune(text, '\ufffd') {
			t.Errorf("%d bytes: %q", len(text), text)
		}
	}
	if encoded, _ := json.Marshal(fit.BackendReason); len(encoded) > 202 || len(encoded) < 190 {
		t.Errorf("%d bytes: %s", len(encoded), encoded)
	}
	if !reflect.DeepEqual(start, whole[0]) || len(start.Scope.File) != 3000 || slices.Contains(start.Args, "…") {
		t.Error("the record itself was cut")
	}
	if fit := whole[1].Fit(); !reflect.DeepEqual(*fit, whole[1]) {
		t.Errorf("what has room was cut: %+v", fit)
	}

	fitEnd := end.Fit()
	if n := len(fitEnd.Error); n != 59*len("<")+len("…") {
		t.Errorf("an error of %d bytes", n)
	}
	last := fitEnd.Outputs[len(fitEnd.Outputs)-1]
	kept := uint64(len(fitEnd.Outputs) - 1)
	rest := 100*99/2 - kept*(kept-1)/2
	if want := (Delivery{Output: fmt.Sprintf("… %d more", 100-kept), Delivered: rest, Queued: 2 * rest, Retried: 3 * rest, Spooled: 4 * rest, Dead: 5 * rest}); kept < 3 || last != want {
		t.Errorf("%d outputs and %+v, want %+v", kept, last, want)
	}
	if first := fitEnd.Outputs[0].Output; len(first) != 96 || !strings.HasSuffix(first, "…") || len(end.Outputs[0].Output) < 500 {
		t.Errorf("the first is %q, and was %q", first, end.Outputs[0].Output)
	}
	some := ScanEnd{Error: "link down", Outputs: []Delivery{{Output: "jsonl:-", Delivered: math.MaxUint64}, {Output: "ecs:https://siem.example.com:8088/services/collector/event"}}}
	if fit := some.Fit(); !reflect.DeepEqual(*fit, some) {
		t.Errorf("what has room was cut: %+v", fit)
	}
}
