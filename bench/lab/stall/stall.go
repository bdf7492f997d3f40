// Package stall keeps a machine that stands still from deciding a test. Call Judge around a run whose result
// hangs on time:
//
//	stall.Judge(t, stall.Bound{Gap: 200 * time.Millisecond}, func() error {
//		…
//		return fmt.Errorf("stopped after %v", took) // what a stall may bring about
//	})
//
// A meter watches the machine while the run goes on. A run that succeeds is a success. One that fails while
// the machine kept up is admissible: the failure is final, at once. One that fails while it did not is void:
// it says nothing, and the run is repeated within a budget. What no stall can bring about the run reports to
// t itself, and that is final always.
//
// When the budget is used up without an admissible run, nothing has been learned, neither that the code is
// right nor that it is wrong. So the test is skipped, which go test counts apart from both; and it fails where
// SYNOPTIC_TEST_REQUIRE has "admissible", as in the gate, for there "nothing learned" must not pass unseen.
//
// Where a property needs no real kernel, none of this is wanted: test it in a bench/lab/bubble.
package stall

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/need"
)

// Bound says when a run is admissible, and how many others there may be.
type Bound struct {
	// Gap is the longest that an admissible run may go without a processor. It belongs well below what the
	// run's own time limits bear.
	Gap time.Duration
	// Here says that this process plays a part in the run, a target or a receiver: it may then be late by Gap as well.
	Here bool
	// Budget is how many runs may be void; default 4.
	Budget int
	// Time is for how long another run may begin; default 2 minutes.
	Time time.Duration
}

// Void is the error of a run that knows itself that the machine did not keep up, by the drops that the
// kernel or the scan has counted.
func Void(reason error) error { return &void{reason} }

type void struct{ reason error }

func (v *void) Error() string { return v.reason.Error() }
func (v *void) Unwrap() error { return v.reason }

// Judge runs until a run succeeds or is admissible.
func Judge(t testing.TB, b Bound, run func() error) {
	t.Helper()
	judge(t, b, Watch, run)
}

// judge is Judge with any meter: start begins to measure, and the function that it returns ends that.
func judge(t testing.TB, b Bound, start func() func() Reading, run func() error) {
	t.Helper()
	if b.Gap <= 0 {
		t.Fatal("stall: a bound without a gap")
	}
	if b.Budget == 0 {
		b.Budget = 4
	}
	if b.Time == 0 {
		b.Time = 2 * time.Minute
	}
	begun := time.Now()
	for voided := 0; ; {
		read, err := measured(start, run)
		if t.Failed() {
			t.Logf("what the run has reported itself is final: %v", read)
		}
		if err == nil || t.Failed() {
			if err != nil {
				t.Error(err)
			}
			tally.add(t.Name(), 0, read)
			return
		}
		why := read.Exceeds(b)
		if v := (*void)(nil); why == "" && errors.As(err, &v) {
			why = "packets were dropped"
		}
		if why == "" {
			tally.add(t.Name(), 0, read)
			t.Errorf("%v (an admissible run: %v)", err, read)
			return
		}
		voided++
		tally.add(t.Name(), 1, read)
		t.Logf("void: %s (%v): %v", why, read, err)
		if voided < b.Budget && time.Since(begun) < b.Time {
			continue
		}
		if need.Required("admissible") {
			t.Fatalf("%d runs in %v, and all were void", voided, time.Since(begun).Round(time.Millisecond))
		}
		t.Skipf("%d runs in %v, and all were void: the machine did not keep up", voided, time.Since(begun).Round(time.Millisecond))
	}
}

// measured runs under the meter, which stops even where the run ends the test.
func measured(start func() func() Reading, run func() error) (read Reading, err error) {
	stop := start()
	defer func() { read = stop() }()
	return read, run()
}

// Exceeds says in what the machine did not keep up, or "".
func (r Reading) Exceeds(b Bound) string {
	switch {
	case r.Gap > b.Gap:
		return fmt.Sprintf("a gap of over %v", b.Gap)
	case b.Here && r.Late > b.Gap:
		return fmt.Sprintf("what this process plays was late by over %v", b.Gap)
	case r.Stolen > b.Gap:
		return fmt.Sprintf("over %v went to another machine", b.Gap)
	case r.Dropped > 0:
		return "the kernel dropped packets that no processor took"
	}
	return ""
}

// tally counts the judged runs of this process.
var tally runs

type runs struct {
	mu     sync.Mutex
	judged int
	void   map[string]int // by test
	worst  Reading        // each figure the largest of all runs
}

func (r *runs) add(test string, void int, read Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judged++
	r.worst = Reading{
		Gap: max(r.worst.Gap, read.Gap), Late: max(r.worst.Late, read.Late),
		Stolen: max(r.worst.Stolen, read.Stolen), Dropped: max(r.worst.Dropped, read.Dropped),
	}
	if void > 0 {
		if r.void == nil {
			r.void = map[string]int{}
		}
		r.void[test] += void
	}
}

// Report writes two lines about all runs so far, if there were any: how many were judged and how many of
// them were void, by test, and the largest figures that the meter read. testnet.Main ends with it.
func Report(w io.Writer) { tally.report(w) }

func (r *runs) report(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.judged == 0 {
		return
	}
	sum, by := 0, []string(nil)
	for test, n := range r.void {
		sum += n
		by = append(by, fmt.Sprintf(" %s %d", test, n))
	}
	slices.Sort(by)
	fmt.Fprintf(w, "stall: of %d judged runs %d were void%s\nstall: at worst %v\n", r.judged, sum, strings.Join(by, ","), r.worst)
}
