package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results/inventory"
	"synoptic/results/policy"
)

// policyFlags are those of every command that judges by a policy.
type policyFlags struct {
	json     bool
	vantage  string
	at       string
	settings settings

	inventory string // file of a database
	given     func(flag string) bool
}

func (f *policyFlags) register(fl *pflag.FlagSet) {
	fl.SortFlags = false
	f.registerVantage(fl)
	fl.Var((*word)(&f.at), "at", "judge as on this `DATE`, 2027-01-31 or a time of RFC 3339, in UTC: exceptions have ended or not (default now)")
	registerJSON(fl, &f.json, "")
}

func (f *policyFlags) registerVantage(fl *pflag.FlagSet) {
	fl.Var((*word)(&f.inventory), "inventory", "what the inventory in `FILE` knows to be open now, instead of records")
	fl.Var((*word)(&f.vantage), "vantage", "the records are from vantage point `NAME`, whatever scanner they name; of an inventory, only what is seen from there")
	f.given = fl.Changed
}

// inventoried is what the inventory has that is asked for, with its database; nothing where files are to be read instead.
func (f *policyFlags) inventoried(files []string, of func(*known) policy.Endpoints) (policy.Endpoints, *inventory.DB, error) {
	if err := f.choose(files); err != nil || f.inventory == "" {
		return nil, nil, err
	}
	db, err := readInventory(f.inventory)
	if err != nil {
		return nil, nil, err
	}
	k, err := knownOf(db, f.vantage)
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return of(k), db, nil
}

// choose takes files before an inventory that the environment names, and refuses both where both are given.
func (f *policyFlags) choose(files []string) error {
	switch {
	case f.inventory == "" || len(files) == 0:
	case f.settings.sets("inventory"):
		f.inventory = ""
	default:
		return usage("give one of them", "--inventory and files are both given")
	}
	return nil
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

// checkFlags are the words of the command line, not yet understood.
type checkFlags struct {
	policyFlags
	outputs outputFlags
	explain string
}

func newCheckCommand(stop *stopper, std streams, logs *logFormat) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check [flags] POLICY [FILE...]",
		Short: "Judge by a policy which ports are open",
		Long: `Judges what scans have found by a policy, a YAML file that says which ports may
be open where, for whom, and which must be. Reads the JSON lines that synoptic
scan has written, several files as one, the oldest first; - or none is standard
input. The scanner that a scan names is its vantage point.

Writes a table on a terminal, and violation records as JSON lines elsewhere. A
required port that the records do not show to have been asked is not judged.

With --inventory it judges what an inventory knows to be open now. With -o it
keeps there which violations stand, and tells outputs of each that begins or
ends, once: what an output does not take waits in the inventory.`,
		Example: `  synoptic check policy.yaml scan.jsonl
  synoptic scan 10.20.0.0/16 --show all -o - | synoptic check policy.yaml
  synoptic check policy.yaml --inventory inv.db -o ecs:syslog+tls://siem.example
  synoptic check policy.yaml --explain 10.20.3.4:5432 --vantage office`,
		Args:    needsPolicy,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, words []string) error {
			if f.explain != "" {
				return f.settings.blame(runExplain(&f.policyFlags, f.explain, words, std, logs))
			}
			return f.settings.blame(runCheck(stop, &f, words, std, logs))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic check --help"))
	fl := cmd.Flags()
	f.register(fl)
	fl.Var((*word)(&f.explain), "explain", "say which rule decides about `ADDRESS:PORT`, and what else is about it: as the files or the inventory show it, or if it were open")
	f.outputs.register(fl)
	registerProfile(fl)
	completeOutputs(cmd)
	return cmd
}

// needsPolicy refuses a command line without a policy.
func needsPolicy(cmd *cobra.Command, words []string) error {
	if len(words) == 0 {
		return usage("write: "+cmd.CommandPath()+" POLICY FILE..., with a POLICY as docs/policy.md has it", "which policy?")
	}
	return nil
}

// runCheck judges records, or an inventory.
func runCheck(stop *stopper, f *checkFlags, words []string, std streams, logs *logFormat) error {
	log := logs.logger(std.err)
	if err := f.choose(words[1:]); err != nil {
		return err
	}
	p, at, err := f.load(words[0])
	switch {
	case err != nil:
		return err
	case f.inventory == "" && len(f.outputs.outputs) > 0:
		return usage("give --inventory FILE too; the violations in records are written to standard output", "-o without --inventory")
	case len(f.outputs.outputs) > 0:
		return runTell(stop, f, p, words[0], std, logs)
	case f.inventory != "":
		return f.ofInventory(p, words[0], at, std, log)
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
	nameIn(report, words[0])
	if err := f.show(p, report, std, log); err != nil {
		return err
	}
	if err := in.outcome(); err != nil {
		return err
	}
	return violated(report)
}

// ofInventory judges what an inventory knows, and changes nothing of it.
func (f *checkFlags) ofInventory(p *policy.Policy, file string, at time.Time, std streams, log *slog.Logger) error {
	db, err := readInventory(f.inventory)
	if err != nil {
		return err
	}
	defer db.Close()
	k, err := knownOf(db, f.vantage)
	if err != nil {
		return err
	}
	_, report, err := k.judge(p, file, at)
	if err == nil {
		err = k.mark(report)
	}
	if err != nil {
		return inventoryError(err)
	}
	if err := f.show(p, report, std, log); err != nil {
		return err
	}
	return violated(report)
}

// violated is the exit code of a report.
func violated(report *policy.Report) error {
	if report.Standing() > 0 {
		return exit(exitFound)
	}
	return nil
}

// show writes a report to standard output, as a table or as records.
func (f *checkFlags) show(p *policy.Policy, report *policy.Report, std streams, log *slog.Logger) (err error) {
	warnVantages(log, p, report.Vantages)
	if f.lines(std) {
		err = writeViolations(std, report)
	} else {
		err = screen.WriteViolations(std.text, screen.Columns(std.out), report)
	}
	if err != nil {
		return err
	}
	sumUpReport(report, log)
	return nil
}

func sumUpReport(report *policy.Report, log *slog.Logger) {
	if report.NotJudged > 0 {
		log.Warn(screen.Count(report.NotJudged, "required port was", "required ports were")+" not judged: the records do not show that they were asked",
			hintKey, "let a scan ask them, or name the vantage point that they are required from", "ports", report.NotJudged)
	}
	log.Info("checked", "violations", report.Standing(), "open", report.Open, "allowed", report.Allowed, "excepted", report.Excepted, "not_judged", report.NotJudged)
}

func writeViolations(std streams, report *policy.Report) error {
	var b []byte
	for i := range report.Violations {
		var err error
		if b, err = report.Violations[i].AppendJSON(b); err != nil {
			return failure{err}
		}
		b = append(b, '\n')
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

// about is what is known of an endpoint, and where from, in words; "" where nothing was given to look at.
func (f *policyFlags) about(ep netip.AddrPort, files []string, std streams, logs *logFormat) (all []policy.Endpoint, source string, err error) {
	if err := f.choose(files); err != nil {
		return nil, "", err
	}
	if f.inventory == "" {
		if len(files) > 0 {
			all, err = seenAt(f, ep, files, std, logs)
			source = "the records do"
		}
		return all, source, err
	}
	db, err := readInventory(f.inventory)
	if err != nil {
		return nil, "", err
	}
	defer db.Close()
	k, err := knownOf(db, f.vantage)
	if err == nil {
		all, err = k.seenAt(ep)
	}
	return all, "the inventory does", err
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
	all, source, err := f.about(ep, words[1:], std, logs)
	if err != nil {
		return err
	}
	if source != "" {
		if len(all) == 0 {
			logs.logger(std.err).Warn(fmt.Sprintf("%s not have %v: it is judged as if it were open", source, ep))
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
