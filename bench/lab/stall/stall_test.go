package stall

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/need"
)

// verdict is a test that notes what is said of it. Fatal and Skip end its goroutine, as they do a test's.
type verdict struct {
	testing.TB
	failed, skipped bool
	said            []string
}

func (v *verdict) Helper()      {}
func (v *verdict) Name() string { return "TestOfTheTest" }
func (v *verdict) Failed() bool { return v.failed }

func (v *verdict) say(format string, args ...any) {
	v.said = append(v.said, fmt.Sprintf(format, args...))
}

func (v *verdict) Logf(format string, args ...any)   { v.say(format, args...) }
func (v *verdict) Error(args ...any)                 { v.failed = true; v.say("%s", fmt.Sprint(args...)) }
func (v *verdict) Errorf(format string, args ...any) { v.failed = true; v.say(format, args...) }

// errEnded is what Fatal and Skip panic with here.
var errEnded = errors.New("the test has ended")

func (v *verdict) Fatal(args ...any)                 { v.Error(args...); panic(errEnded) }
func (v *verdict) Fatalf(format string, args ...any) { v.Errorf(format, args...); panic(errEnded) }
func (v *verdict) Skipf(format string, args ...any) {
	v.skipped = true
	v.say(format, args...)
	panic(errEnded)
}

// judged runs over readings, one a run, of which the last holds for all further ones. It counts the runs.
func judged(b Bound, readings []Reading, run func(v *verdict, n int) error) (v *verdict, n int) {
	v = &verdict{}
	stopped := 0
	defer func() {
		if r := recover(); r != nil && r != any(errEnded) {
			panic(r)
		}
		if stopped != n {
			v.failed = true
			v.say("%d runs, the meter stopped %d times", n, stopped)
		}
	}()
	judge(v, b, func() func() Reading {
		return func() Reading { stopped++; return readings[min(n, len(readings))-1] }
	}, func() error { n++; return run(v, n) })
	return v, n
}

var (
	bound   = Bound{Gap: 100 * time.Millisecond}
	quiet   = Reading{Gap: 3 * time.Millisecond}
	stood   = Reading{Gap: 101 * time.Millisecond}
	late    = Reading{Late: 101 * time.Millisecond}
	errLate = errors.New("stopped after 5s")
)

func TestJudge(t *testing.T) {
	fails := func(*verdict, int) error { return errLate }
	failsOnce := func(_ *verdict, n int) error {
		if n == 1 {
			return errLate
		}
		return nil
	}
	for _, c := range []struct {
		name            string
		bound           Bound
		readings        []Reading
		run             func(*verdict, int) error
		runs            int
		failed, skipped bool
	}{
		{"a success is one", bound, []Reading{quiet}, func(*verdict, int) error { return nil }, 1, false, false},
		{"a success on a machine that stood still too", bound, []Reading{stood}, func(*verdict, int) error { return nil }, 1, false, false},
		{"an admissible failure is final", bound, []Reading{quiet}, failsOnce, 1, true, false},
		{"a gap of just the bound is admissible", bound, []Reading{{Gap: bound.Gap}}, failsOnce, 1, true, false},
		{"a gap makes void", bound, []Reading{stood, quiet}, failsOnce, 2, false, false},
		{"a late goroutine plays no part", bound, []Reading{late}, failsOnce, 1, true, false},
		{"a late goroutine makes void where it plays a part", Bound{Gap: bound.Gap, Here: true}, []Reading{late, quiet}, failsOnce, 2, false, false},
		{"stolen time makes void", bound, []Reading{{Stolen: time.Second}, quiet}, failsOnce, 2, false, false},
		{"drops make void", bound, []Reading{{Dropped: 1}, quiet}, failsOnce, 2, false, false},
		{"a void run and then an admissible failure", bound, []Reading{stood, quiet}, fails, 2, true, false},
		{"what the run knows to be void", bound, []Reading{quiet}, func(_ *verdict, n int) error {
			if n == 1 {
				return fmt.Errorf("scan: %w", Void(errLate))
			}
			return nil
		}, 2, false, false},
		{"four void runs say nothing", bound, []Reading{stood}, fails, 4, false, true},
		{"a budget of its own", Bound{Gap: bound.Gap, Budget: 2}, []Reading{stood}, fails, 2, false, true},
		{"no time left", Bound{Gap: bound.Gap, Time: 1}, []Reading{stood}, fails, 1, false, true},
		{"what no stall brings about is final", bound, []Reading{stood}, func(v *verdict, _ int) error {
			v.Error("a record is wrong")
			return errLate
		}, 1, true, false},
		{"the end of the test stops the meter", bound, []Reading{quiet}, func(v *verdict, _ int) error {
			v.Fatal("no network")
			return nil
		}, 1, true, false},
		{"no bound", Bound{}, []Reading{quiet}, fails, 0, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(need.Env, "network,peers")
			v, n := judged(c.bound, c.readings, c.run)
			if n != c.runs || v.failed != c.failed || v.skipped != c.skipped {
				t.Errorf("%d runs, failed %v, skipped %v; want %d, %v, %v: %q", n, v.failed, v.skipped, c.runs, c.failed, c.skipped, v.said)
			}
			if n > 0 && (c.failed || c.skipped || n > 1) && len(v.said) == 0 {
				t.Error("not a word of it")
			}
		})
	}
}

// Where an admissible run is required, a budget that is used up is a failure.
func TestRequired(t *testing.T) {
	t.Setenv(need.Env, "network,admissible")
	v, n := judged(bound, []Reading{stood}, func(*verdict, int) error { return errLate })
	if n != 4 || !v.failed || v.skipped {
		t.Errorf("%d runs, failed %v, skipped %v: %q", n, v.failed, v.skipped, v.said)
	}
}

func TestReport(t *testing.T) {
	var b strings.Builder
	var r runs
	if r.report(&b); b.Len() > 0 {
		t.Errorf("of no runs: %q", b.String())
	}
	r.add("TestB", 1, stood)
	r.add("TestA", 1, late)
	r.add("TestB", 1, quiet)
	r.add("TestB", 0, Reading{Stolen: time.Second, Dropped: 2})
	if r.report(&b); b.String() != "stall: of 4 judged runs 3 were void TestA 1, TestB 2\n"+
		"stall: at worst longest gap 101ms, a goroutine late by 101ms, 1s stolen, 2 packets dropped\n" {
		t.Errorf("%q", b.String())
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(meterEnv) != "" {
		measureForParent()
		return
	}
	os.Exit(m.Run())
}
