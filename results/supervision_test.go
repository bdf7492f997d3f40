package results

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

func sampleSupervision() Supervision {
	return Supervision{
		Time: Time(time.Unix(0, 1795342333123456789)), ScanID: strings.Repeat("0a", 16), Vantage: "dmz-scan01", Endpoints: 168_000_000, Ages: Ages{11200, 82100, 86390}, Overdue: 3, BudgetPPS: 3900, UsedPPS: 3871.0625,
		Tiers:       []SupervisedTier{{"open", 1_700_000, Ages{800, 1500, 1620}, 0}, {"predicted", 5_000_000, Ages{2500, 5100, 5160}, 0}, {"cycle", 161_300_000, Ages{41000, 82100, 86390}, 3}},
		Unconfirmed: 12, Unknown: 700, Changes: 40, Cycle: 6, CycleDone: 0.4375,
	}
}

// The record, as its readers see it.
func TestSupervisionJSON(t *testing.T) {
	s := sampleSupervision()
	want := `{"v":1,"type":"supervision","ts":"2026-11-22T10:12:13.123456789Z","scan_id":"` + s.ScanID + `","event_id":"` + s.EventID().String() + `","vantage":"dmz-scan01",` +
		`"endpoints":168000000,"ages_s":{"p50":11200,"p99":82100,"max":86390},"overdue":3,"budget_pps":3900,"used_pps":3871.063,` +
		`"tiers":[{"tier":"open","endpoints":1700000,"ages_s":{"p50":800,"p99":1500,"max":1620},"overdue":0},` +
		`{"tier":"predicted","endpoints":5000000,"ages_s":{"p50":2500,"p99":5100,"max":5160},"overdue":0},` +
		`{"tier":"cycle","endpoints":161300000,"ages_s":{"p50":41000,"p99":82100,"max":86390},"overdue":3}],` +
		`"unconfirmed":12,"unknown":700,"changes":40,"cycle":6,"cycle_done":0.438}`
	if got := jsonOf(t, &s); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	least := Supervision{Time: s.Time, ScanID: s.ScanID}
	if got := jsonOf(t, &least); !strings.Contains(got, `"endpoints":0,`) || !strings.Contains(got, `"tiers":[]`) || strings.Contains(got, "vantage") {
		t.Errorf("the least one: %s", got)
	}
}

// One that comes twice has the same ID, whatever its figures are; another time or vantage point has another one.
func TestSupervisionEventID(t *testing.T) {
	first, same, later, elsewhere := sampleSupervision(), sampleSupervision(), sampleSupervision(), sampleSupervision()
	same.Overdue, same.Tiers = 0, nil
	later.Time = Time(time.Time(later.Time).Add(1))
	elsewhere.Vantage = "office"
	if same.EventID() != first.EventID() || later.EventID() == first.EventID() || elsewhere.EventID() == first.EventID() {
		t.Error("IDs")
	}
}

// However long its texts are and large its figures, it fits into its line, follows the schema, and comes out of Fit as it was.
func TestSupervisionsFit(t *testing.T) {
	schema := supervisionSchema(t)
	rapid.Check(t, func(t *rapid.T) {
		s := sampleSupervision()
		s.Vantage = strings.Repeat(rapid.String().Draw(t, "vantage"), rapid.SampledFrom([]int{1, 10_000}).Draw(t, "times"))
		for _, p := range []*uint64{&s.Endpoints, &s.Overdue, &s.Unconfirmed, &s.Unknown, &s.Changes, &s.Cycle} {
			*p = rapid.Uint64().Draw(t, "count")
		}
		for range rapid.IntRange(0, 100).Draw(t, "more tiers") {
			s.Tiers = append(s.Tiers, s.Tiers[0])
		}
		line := []byte(jsonOf(t, &s))
		if len(line)+1 >= maxRecord || !json.Valid(line) {
			t.Fatalf("%d bytes: %s", len(line), line)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if fit := jsonOf(t, s.Fit()); fit != string(line) {
			t.Fatalf("got  %s\nwant %s", fit, line)
		}
	})
}

func jsonOf(t interface{ Fatal(...any) }, s *Supervision) string {
	line, err := s.AppendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

func supervisionSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("../docs/records.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("records", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("records")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
