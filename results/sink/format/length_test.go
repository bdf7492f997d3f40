package format

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"synoptic/results"
)

// longest are records in which every text is as long as nobody has it, and every number as long as it can be.
func longest() (*results.ScanStart, *results.ScanEnd) {
	start, end := sampleStart(), sampleEnd()
	largest(reflect.ValueOf(start).Elem())
	largest(reflect.ValueOf(end).Elem())
	start.Version = strings.Repeat("v", 1000)
	start.Scanner, start.Tags = strings.Repeat("s", 1000), longestTags()
	end.Scanner, end.Tags = start.Scanner, start.Tags
	start.Args = slices.Repeat([]string{"10.0.0.0/8"}, 10_000)
	start.Iface = strings.Repeat("enp0s31f6,", 500)
	start.Source = strings.Repeat("::1,", 500)
	start.BackendReason = strings.Repeat("no AF_XDP: \"\xff\" ", 500)
	start.Rate, start.Shard, start.Backend = "1000000000", "1000000/1000000", "afpacket"
	start.PlanDigest, start.TargetsDigest, start.PortsDigest = strings.Repeat("0", 64), strings.Repeat("1", 64), strings.Repeat("2", 64)
	start.Scope.File, start.Scope.SHA256 = strings.Repeat("/folder", 500), strings.Repeat("0", 64)
	end.Error = strings.Repeat("output \"jsonl:x\": no space left on device\n", 500)
	end.BackendReason, end.Backend = start.BackendReason, start.Backend
	end.Outputs = slices.Repeat([]results.Delivery{{Output: "ecs:https://siem.example.com/" + strings.Repeat("<", 1000)}}, 100)
	for i := range end.Outputs {
		largest(reflect.ValueOf(&end.Outputs[i]).Elem())
	}
	for i, name := range []string{"resolve", "canaries", "scan"} {
		end.Phases = append(end.Phases[:i:i], results.Phase{Name: name})
		largest(reflect.ValueOf(&end.Phases[i]).Elem())
	}
	end.Complete, end.Duration = false, 3e6
	return start, end
}

// largest gives every number of a record the most digits.
func largest(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer:
		largest(v.Elem())
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[results.Time]():
		for i := range v.NumField() {
			largest(v.Field(i))
		}
	case v.CanUint():
		v.SetUint(math.MaxUint64)
	case v.CanInt():
		v.SetInt(math.MaxInt64)
	case v.CanFloat():
		v.SetFloat(-math.Pi / 1e9)
	}
}

// Whatever a scan was called with and however it ended, a message is one line of JSON under 4 KB: see encode.
func TestMessagesAreShort(t *testing.T) {
	start, end := longest()
	slim := *start // every character of it takes more room than any other has
	slim.Args = slices.Repeat([]string{"\x00"}, 10_000)
	for name, f := range formats {
		if !f.Messages {
			continue
		}
		t.Run(name, func(t *testing.T) {
			longName := func(w *Writer, o Options) Encoder {
				o.Hostname = strings.Repeat("s", 253)
				return f.New(w, o)
			}
			for _, s := range []*results.ScanStart{start, &slim} {
				written := stream(s, everyPort(), everyHost(), end, everyEvent()...)
				encode(t, longName, reported(written, end.Outputs)) // which looks at the lengths
				lines, _ := encode(t, longName, written)
				first, last := lines[0], lines[len(lines)-1]
				if !strings.Contains(first, `"…"]`) || !strings.Contains(last, `"… 9`) && !strings.Contains(last, `"… 100 more"`) {
					t.Errorf("%s\n%s", first, last)
				}
				t.Logf("scan_start has %d bytes, scan_end %d", len(first), len(last))
			}
		})
	}
}
