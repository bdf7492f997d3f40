package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"synoptic/results"
)

// What --target-recall promises.
const (
	overNeed     = 1.15 // probes to positions that answer, against the theoretical need, at 5 % loss each way
	overLossFree = 1.05 // all probes, against those of --retries 0, where nothing is lost
	inInterval   = 0.9  // share of the seeds whose interval holds the true loss
)

// seedRun is one run of synoptic at the recall asked for.
type seedRun struct {
	seed int
	score
	probes
	seconds          float64
	loss, missedOpen *results.Estimate // as the program states them; nil where it does not
}

// promises checks them and writes what was measured. What is not kept is an error.
func promises(ctx context.Context, text *strings.Builder, us scanner, o options) error {
	for _, flag := range []string{"--retries", "--target-recall"} {
		if !us.has(flag) {
			return fmt.Errorf("this build has no %s: nothing to check", flag)
		}
	}
	once, recalled, err := lossFree(ctx, us, o)
	if err != nil {
		return err
	}
	c := conditions[2]
	f, err := newField(o.bits, c)
	if err != nil {
		return err
	}
	defer f.Close()
	var runs []seedRun
	for seed := 1; seed <= o.seeds; seed++ {
		r, err := atRecall(ctx, us, o, f, seed)
		if err != nil {
			return err
		}
		log.Printf("seed %d: recall %.4f, %d probes, %.1f s", seed, r.recall(), r.total(), r.seconds)
		runs = append(runs, r)
	}
	answering := (portCount - 1) * addresses(f.targets)
	fmt.Fprintf(text, "Produced by `%s` on %s.\n\n", o.command(), machine())
	return errors.Join(
		reportLossFree(text, once, recalled),
		reportSeeds(text, runs, c, answering, addresses(f.targets)))
}

// lossFree counts the probes of a single pass and of a scan with a recall, where nothing is lost.
func lossFree(ctx context.Context, us scanner, o options) (once, recalled probes, err error) {
	f, err := newField(o.bits, conditions[0])
	if err != nil {
		return once, recalled, err
	}
	defer f.Close()
	for _, run := range []struct {
		flags []string
		sent  *probes
	}{
		{[]string{"--retries", "0"}, &once},
		{[]string{"--target-recall", fmt.Sprint(recallAsked)}, &recalled},
	} {
		begun := time.Now()
		*run.sent, err = f.during(func() error {
			_, err := us.scan(ctx, f.targets, portList, o.rate, run.flags...)
			return err
		})
		if err != nil {
			return once, recalled, err
		}
		log.Printf("%s %s: %d probes, %.1f s", conditions[0].name, strings.Join(run.flags, " "), run.sent.total(), time.Since(begun).Seconds())
	}
	return once, recalled, nil
}

func atRecall(ctx context.Context, us scanner, o options, f *field, seed int) (r seedRun, err error) {
	r.seed = seed
	r.probes, err = f.during(func() error {
		out, err := us.scan(ctx, f.targets, portList, o.rate, "--target-recall", fmt.Sprint(recallAsked), "--seed", fmt.Sprint(seed))
		if err != nil {
			return err
		}
		r.score, r.seconds = scored(out.open, f.open), out.seconds
		r.loss, r.missedOpen = out.end.LossEstimate, out.end.MissedOpen
		return nil
	})
	return r, err
}

func reportLossFree(text *strings.Builder, once, recalled probes) error {
	ratio := float64(recalled.total()) / float64(max(once.total(), 1))
	fmt.Fprintf(text, "Without loss, `--target-recall %v` sends %s probes and `--retries 0` %s: %.3f times as many.\n",
		recallAsked, thousands(int(recalled.total())), thousands(int(once.total())), ratio)
	if ratio >= overLossFree {
		return fmt.Errorf("without loss: %.3f times the probes of a single pass, want less than %v", ratio, overLossFree)
	}
	return nil
}

// reportSeeds writes the table of the runs over n positions that answer and some that are silent.
func reportSeeds(text *strings.Builder, runs []seedRun, c condition, answering, silent int) error {
	var failed []error
	fail := func(format string, args ...any) { failed = append(failed, fmt.Errorf(format, args...)) }
	least := need(answering, c.loss(), recallAsked)
	fmt.Fprintf(text, "\n%s%s, `--target-recall %v`. The true two-way loss is %s. The %s positions that answer need %s probes in theory; "+
		"the %s silent ones come on top.\n\n", strings.ToUpper(c.name[:1]), c.name[1:], recallAsked, percent(c.loss()),
		thousands(answering), thousands(int(least)), thousands(silent))
	fmt.Fprintln(text, "| seed | recall | invented | probes to what answers | of the need | per silent position | seconds | loss, estimated | missed | missed, estimated |")
	fmt.Fprintln(text, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
	inside := 0
	for _, r := range runs {
		ratio := float64(r.answering) / least
		fmt.Fprintf(text, "| %d | %.4f | %d | %s | %.3f | %.3f | %.1f | %s | %d | %s |\n", r.seed, r.recall(), r.invented,
			thousands(int(r.answering)), ratio, float64(r.silent)/float64(silent), r.seconds, percentInterval(r.loss), r.missed(), countInterval(r.missedOpen))
		if r.recall() < recallAsked {
			fail("seed %d: recall %.5f, want %v", r.seed, r.recall(), recallAsked)
		}
		if r.invented > 0 {
			fail("seed %d: %d ports invented", r.seed, r.invented)
		}
		if ratio > overNeed {
			fail("seed %d: %.3f times the theoretical need, want at most %v", r.seed, ratio, overNeed)
		}
		if e := r.loss; e != nil && e.Low <= c.loss() && c.loss() <= e.High {
			inside++
		}
		if e := r.missedOpen; e == nil {
			fail("seed %d: missed ports are not estimated", r.seed)
		} else if !near(e.Value, r.missed()) {
			fail("seed %d: %.1f missed ports estimated, %d in truth", r.seed, e.Value, r.missed())
		}
	}
	fmt.Fprintf(text, "\nThe interval holds the true loss in %d of %d.\n", inside, len(runs))
	if float64(inside) < inInterval*float64(len(runs)) {
		fail("the interval holds the true loss in %d of %d seeds only", inside, len(runs))
	}
	return errors.Join(failed...)
}
