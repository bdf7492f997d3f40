//go:build linux

package main

import (
	"context"
	"testing"

	"synoptic/bench"
	"synoptic/bench/lab/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// The whole way of a row, on a network where two thirds of the probes get no answer.
func TestRowOnALossyNetwork(t *testing.T) {
	testnet.Require(t)
	program, err := bench.Build()
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	ctx := context.Background()
	us, err := newScanner(ctx, program)
	if err != nil {
		t.Fatal(err)
	}
	const bits, positions = 24, portCount << 8
	c := condition{name: "40 % loss each way", percent: 40}
	f, err := newField(bits, c)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := map[string]row{}
	for _, k := range contenders(us, options{bits: bits, rate: 2000}, c) {
		if k.label != "synoptic --retries 0" && k.label != "synoptic --retries 3" {
			continue
		}
		r := k.on(ctx, f)
		if r.err != nil {
			t.Fatalf("%s: %v", k.label, r.err)
		}
		t.Log(r.markdown())
		if r.score.open != 256+4 || r.invented != 0 || r.silent == 0 {
			t.Errorf("%s: %+v", k.label, r.score)
		}
		rows[k.label] = r
	}
	// Five standard deviations of the number found by one probe each: 260 × 0.36 ± 39.
	once := rows["synoptic --retries 0"]
	if once.total() != positions || once.silent != positions/portCount || once.end.Sent != positions || once.score.found < 55 || once.score.found > 133 {
		t.Errorf("one probe each: %d probes, %d found", once.total(), once.score.found)
	}
	if us.has("--retries") {
		more := rows["synoptic --retries 3"]
		if more.silent != positions || more.total() <= once.total() || more.score.found <= once.score.found {
			t.Errorf("four probes at most: %d probes (%d to silent positions), %d found", more.total(), more.silent, more.score.found)
		}
	}
}
