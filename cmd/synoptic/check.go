package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results/policy"
)

// policyFlags are those of every command that judges by a policy.
type policyFlags struct {
	json     bool
	vantage  string
	at       string
	settings settings
}

func (f *policyFlags) register(fl *pflag.FlagSet) {
	fl.SortFlags = false
	f.registerVantage(fl)
	fl.Var((*word)(&f.at), "at", "judge as on this `DATE`, 2027-01-31 or a time of RFC 3339, in UTC: exceptions have ended or not (default now)")
	registerJSON(fl, &f.json, "")
}

func (f *policyFlags) registerVantage(fl *pflag.FlagSet) {
	fl.Var((*word)(&f.vantage), "vantage", "the records are from vantage point `NAME`, whatever scanner they name")
}

// moment is when exceptions have ended or not.
func (f *policyFlags) moment(now time.Time) (time.Time, error) {
	if f.at == "" {
		return now, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, f.at); err == nil {
			return at, nil
		}
	}
	return now, usage("write 2027-01-31, or 2027-01-31T12:00:00Z", "--at %s is no date", shorter(f.at))
}

// known refuses a vantage point that the policy does not know, where it knows any.
func (f *policyFlags) known(p *policy.Policy) error {
	names := p.VantagePoints()
	if f.vantage == "" || len(names) == 0 || slices.Contains(names, f.vantage) {
		return nil
	}
	hint := "the policy has " + strings.Join(names, ", ")
	if meant := nearest(f.vantage, names); meant != "" {
		hint = "did you mean " + meant + "?"
	}
	return usage(hint, "--vantage %s: the policy has no such vantage point", shorter(f.vantage))
}

// lines tells whether JSON lines are wanted instead of a table.
func (f *policyFlags) lines(std streams) bool { return f.json || !isTerminal(std.out) }

func newCheckCommand(std streams, logs *logFormat) *cobra.Command {
	var f policyFlags
	explain := ""
	cmd := &cobra.Command{
		Use:   "check [flags] POLICY [FILE...]",
		Short: "Judge by a policy which ports are open",
		Long: `Judges what scans have found by a policy, a YAML file that says which ports may
be open where, for whom, and which must be. Reads the JSON lines that synoptic
scan has written, several files as one, the oldest first; - or none is standard
input. The scanner that a scan names is its vantage point.

Writes a table on a terminal, and violation records as JSON lines elsewhere. A
required port that the records do not show to have been asked is not judged.`,
		Example: `  synoptic check policy.yaml scan.jsonl
  synoptic scan 10.20.0.0/16 --show all -o - | synoptic check policy.yaml
  synoptic check policy.yaml --explain 10.20.3.4:5432 --vantage office`,
		Args:    needsPolicy,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, words []string) error {
			if explain != "" {
				return f.settings.blame(runExplain(&f, explain, words, std, logs))
			}
			return f.settings.blame(runCheck(&f, words, std, logs))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic check --help"))
	fl := cmd.Flags()
	f.register(fl)
	fl.Var((*word)(&explain), "explain", "say which rule decides about `ADDRESS:PORT`, and what else is about it: as the files show it, or if it were open")
	return cmd
}

// needsPolicy refuses a command line without a policy.
func needsPolicy(cmd *cobra.Command, words []string) error {
	if len(words) == 0 {
		return usage("write: "+cmd.CommandPath()+" POLICY FILE..., with a POLICY as docs/policy.md has it", "which policy?")
	}
	return nil
}

// runCheck judges records.
func runCheck(f *policyFlags, words []string, std streams, logs *logFormat) error {
	log := logs.logger(std.err)
	p, at, err := f.load(words[0])
	if err != nil {
		return err
	}
	in, err := policyInput("check", words[1:], std, logs)
	if err != nil {
		return err
	}
	c := policy.NewChecker(p, at)
	if err := c.AddAll(in.endpoints(f.vantage)); err != nil {
		return err
	}
	for vantage, scans := range in.from {
		c.Cover(vantage, newAskedScans(scans))
	}
	report := c.Report()
	warnVantages(log, p, report.Vantages)
	if f.lines(std) {
		err = writeViolations(std, report)
	} else {
		err = screen.WriteViolations(std.text, screen.Columns(std.out), report)
	}
	if err != nil {
		return err
	}
	if report.NotJudged > 0 {
		log.Warn(screen.Count(report.NotJudged, "required port was", "required ports were")+" not judged: the records do not show that they were asked",
			hintKey, "let a scan ask them, or name the vantage point that they are required from", "ports", report.NotJudged)
	}
	log.Info("checked", "violations", report.Standing(), "open", report.Open, "allowed", report.Allowed, "excepted", report.Excepted, "not_judged", report.NotJudged)
	if err := in.outcome(); err != nil {
		return err
	}
	if report.Standing() > 0 {
		return exit(exitFound)
	}
	return nil
}

func writeViolations(std streams, report *policy.Report) error {
	var b []byte
	for i := range report.Violations {
		b = append(report.Violations[i].AppendJSON(b), '\n')
		if len(b) > 1<<16 {
			if _, err := std.text.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	if len(b) == 0 {
		return nil
	}
	_, err := std.text.Write(b)
	return err
}

// warnVantages tells of scans that the policy's from cannot mean.
func warnVantages(log *slog.Logger, p *policy.Policy, seen []string) {
	names := p.VantagePoints()
	for _, v := range seen {
		switch {
		case len(names) == 0 || slices.Contains(names, v):
		case v == "":
			log.Warn("some scans do not say which scanner they are from: rules for vantage points do not hold for them", hintKey, "give --vantage NAME")
		default:
			hint := "list it in the policy's vantage, or give --vantage NAME"
			if meant := nearest(v, names); meant != "" {
				hint = "did you mean --vantage " + meant + "?"
			}
			log.Warn(fmt.Sprintf("the policy does not know the vantage point %q: only rules without from hold for it", shorter(v)), hintKey, hint)
		}
	}
}

// runExplain says what the policy has about an endpoint.
func runExplain(f *policyFlags, endpoint string, words []string, std streams, logs *logFormat) error {
	ep, err := parseEndpoint(endpoint)
	if err != nil {
		return err
	}
	p, at, err := f.load(words[0])
	if err != nil {
		return err
	}
	var all []policy.Endpoint
	if len(words) > 1 {
		if all, err = seenAt(f, ep, words[1:], std, logs); err != nil {
			return err
		}
		if len(all) == 0 {
			logs.logger(std.err).Warn(fmt.Sprintf("the records do not have %v: it is judged as if it were open", ep))
		}
		for i := range all {
			warnVantages(logs.logger(std.err), p, []string{all[i].Vantage})
		}
	}
	if len(all) == 0 {
		all = policy.Assumed(ep, p, f.vantage)
	}
	var b bytes.Buffer
	for i := range all {
		x := p.Explain(&all[i], at)
		if f.lines(std) {
			err = errors.Join(err, writeExplanation(&b, &x))
		} else {
			screen.WriteExplanation(&b, &x, words[0])
		}
	}
	if err == nil {
		_, err = std.text.Write(b.Bytes())
	}
	return err
}
