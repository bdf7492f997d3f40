package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/inventory"
	"synoptic/results/policy"
	"synoptic/results/textfile"
)

func newPolicyCommand(std streams, logs *logFormat) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Make a policy of what is open, or look for rules that do nothing",
		Long: `Makes a policy that allows what is open now, and finds rules and exceptions in
one that do nothing, or not what they seem to do. synoptic check judges by it.`,
		Example: `  synoptic policy init scan.jsonl > policy.yaml
  synoptic policy lint policy.yaml scan.jsonl`,
		Args: cobra.ArbitraryArgs,
		RunE: parent,
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic policy --help"))
	cmd.AddCommand(newLintCommand(std, logs), newInitCommand(std, logs))
	return cmd
}

func newLintCommand(std streams, logs *logFormat) *cobra.Command {
	var f policyFlags
	exitCode, since := false, "30d"
	cmd := &cobra.Command{
		Use:   "lint [flags] POLICY [FILE...]",
		Short: "Find rules and exceptions of a policy that do nothing",
		Long: `Finds exceptions that have ended or end within 30 days, rules that never decide
because others do, rules that allow what another denies, and rules for vantage
points that nobody scans from. With the records of scans, or an inventory, it
finds rules and exceptions, too, that nothing open needs, or has needed lately.`,
		Example: `  synoptic policy lint policy.yaml scan.jsonl --exit-code
  synoptic policy lint policy.yaml --inventory inventory.db --since 90d`,
		Args:    needsPolicy,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, words []string) error {
			found, err := runLint(&f, since, words, std, logs)
			if err == nil && found > 0 && exitCode {
				return exit(exitFound)
			}
			return f.settings.blame(err)
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic policy lint --help"))
	f.register(cmd.Flags())
	cmd.Flags().Var((*word)(&since), "since", "with --inventory, a rule is needed by what was open within the last `TIME`: 30d, 12w, 1y")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 5 when something was found")
	return cmd
}

// runLint writes what it finds, and gives how much that is.
func runLint(f *policyFlags, since string, words []string, std streams, logs *logFormat) (int, error) {
	p, at, err := f.load(words[0])
	if err != nil {
		return 0, err
	}
	age, err := inventory.ParseAge(since)
	if err != nil {
		return 0, usage("give a time such as 30d", "--since: %v", err)
	}
	var seen *policy.Checker
	var in *judged
	endpoints, db, err := f.inventoried(words[1:], func(k *known) policy.Endpoints { return k.since(at.Add(-age)) })
	if err != nil {
		return 0, err
	}
	if db != nil {
		defer db.Close()
	} else if len(words) > 1 {
		if in, err = policyInput("lint", words[1:], std, logs); err != nil {
			return 0, err
		}
		endpoints = in.endpoints(f.vantage)
	}
	if endpoints != nil {
		seen = policy.NewChecker(p, at)
		if err := seen.AddAll(endpoints); err != nil {
			return 0, err
		}
	}
	all := p.Lint(at, seen)
	var b strings.Builder
	for i := range all {
		if !f.lines(std) {
			screen.WriteFinding(&b, words[0], &all[i])
			continue
		}
		if err := writeJSONLine(&b, &all[i]); err != nil {
			return 0, err
		}
	}
	if len(all) == 0 && !f.lines(std) {
		b.WriteString("nothing found\n")
	}
	if _, err := io.WriteString(std.text, b.String()); err != nil || in == nil {
		return len(all), err
	}
	return len(all), in.outcome()
}

func newInitCommand(std streams, logs *logFormat) *cobra.Command {
	var f policyFlags
	cmd := &cobra.Command{
		Use:   "init [flags] [FILE...]",
		Short: "Make a policy that allows what is open now",
		Long: `Writes a policy that allows every port that the records of scans, or an
inventory, show open, and nothing else. Hosts of a network with the same ports,
and ports of the same hosts, are one rule. Several files are read as one; - or
none is standard input.`,
		Example: `  synoptic policy init scan.jsonl > policy.yaml
  synoptic policy init --inventory inventory.db > policy.yaml`,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, files []string) error {
			return f.settings.blame(runInit(&f, files, std, logs))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic policy init --help"))
	f.registerVantage(cmd.Flags())
	cmd.Flags().BoolVar(&f.json, "json", false, "write it as JSON, in one line: as policies are YAML, it is one, too")
	return cmd
}

func runInit(f *policyFlags, files []string, std streams, logs *logFormat) error {
	var in *judged
	endpoints, db, err := f.inventoried(files, (*known).open)
	if err != nil {
		return err
	}
	if db != nil {
		defer db.Close()
	} else {
		if in, err = policyInput("init", files, std, logs); err != nil {
			return err
		}
		endpoints = in.endpoints(f.vantage)
	}
	b, err := policy.NewBaseline(endpoints)
	if errors.Is(err, policy.ErrNoVantage) {
		return usage("give --vantage NAME, or the scans of one vantage point", "%v", err)
	}
	if err != nil {
		return err
	}
	if in != nil {
		if err := in.outcome(); err != nil { // before anything is written: half a baseline would allow too little
			return err
		}
	}
	if n := b.Suspects(); n > 0 {
		logs.logger(std.err).Warn(screen.Count(uint64(n), "host opens", "hosts open")+" everything, and is allowed that: its rule begins with suspect",
			hintKey, "have a look at it, and take the rule out")
	}
	if !f.json {
		_, err = b.WriteTo(std.text)
		return err
	}
	var document bytes.Buffer
	if _, err := b.WriteTo(&document); err != nil {
		return err
	}
	return writeYAMLAsJSON(std.text, document.Bytes())
}

// load reads the policy, and the moment to judge by it.
func (f *policyFlags) load(name string) (*policy.Policy, time.Time, error) {
	at, err := f.moment(time.Now())
	if err != nil {
		return nil, at, err
	}
	p, err := loadPolicy(name)
	if err == nil {
		err = f.known(p)
	}
	return p, at, err
}

func loadPolicy(name string) (*policy.Policy, error) {
	const hint = "a policy is a YAML file; synoptic policy init makes one"
	file, err := os.Open(name)
	if err != nil {
		return nil, usage(hint, "policy %q: %v", shorter(name), bare(err))
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return nil, usage(hint, "policy %q: it is a directory", shorter(name))
	}
	return policy.Load(name, textfile.NewReader(file, textfile.Options{}))
}

// judged is the input of a command that judges by a policy.
type judged struct {
	*input
	command string
	any     bool     // a record was read
	open    []string // scans that have begun and not ended
	scans   map[string]*askedScan
	from    map[string][]*askedScan // by vantage point
}

func policyInput(command string, files []string, std streams, logs *logFormat) (*judged, error) {
	in, err := newInput(files, std.in)
	if err != nil {
		return nil, err
	}
	if slices.Contains(in.files, "-") {
		tellStdin(std, *logs)
	}
	in.log = logs.logger(std.err)
	return &judged{input: in, command: command, scans: map[string]*askedScan{}, from: map[string][]*askedScan{}}, nil
}

// endpoints are those of the records.
func (in *judged) endpoints(vantage string) policy.Endpoints {
	vantage = strings.TrimSpace(vantage)
	return policy.Records(func(into *results.Records) error {
		err := in.read(into)
		switch failed, _ := errors.AsType[failure](err); {
		case err == nil:
			in.any = true
			in.follow(into, vantage)
		case errors.Is(err, io.EOF) || failed.error != nil:
		default:
			err = failure{err}
		}
		return err
	}, vantage)
}

// follow keeps what a scan has asked, and tells of one that has not asked all that it was to ask: what it does not show is not judged.
func (in *judged) follow(r *results.Records, vantage string) {
	if s := in.scans[r.ScanID]; s != nil {
		s.follow(r)
	}
	switch {
	case r.Start != nil:
		in.open = append(in.open, r.ScanID)
		s := &askedScan{id: r.ScanID, begun: time.Time(r.Start.Time).UnixNano()}
		vantage = cmp.Or(vantage, strings.TrimSpace(r.Start.Scanner))
		in.scans[s.id], in.from[vantage] = s, append(in.from[vantage], s)
	case r.End != nil:
		in.open = slices.DeleteFunc(in.open, func(id string) bool { return id == r.ScanID })
		if !r.End.Complete {
			in.log.Warn(fmt.Sprintf("scan %s is not complete (coverage %.2f): what it did not ask is not judged", r.ScanID, r.End.Coverage), "scan_id", r.ScanID)
		}
	}
}

// outcome is the failure of an input that is not whole.
func (in *judged) outcome() error {
	for _, id := range in.open {
		in.log.Warn(fmt.Sprintf("scan %s: %s: what comes behind is not judged", id, cutOff), "scan_id", id)
	}
	switch {
	case !in.any:
		return failure{noRecord(in.command, in.bad)}
	case in.bad > 0:
		return failure{fmt.Errorf("%s not understood and left out", screen.Count(in.bad, "line was", "lines were"))}
	}
	return nil
}

// parseEndpoint reads ADDRESS:PORT.
func parseEndpoint(text string) (netip.AddrPort, error) {
	ep, err := netip.ParseAddrPort(text)
	if err != nil || ep.Port() == 0 || ep.Addr().Zone() != "" {
		hint := "write ADDRESS:PORT: 10.20.3.4:443, [2001:db8::1]:443"
		if a, err := netip.ParseAddr(text); err == nil && a.Is6() {
			hint = "write [ADDRESS]:PORT: [" + a.WithZone("").String() + "]:443"
		}
		return ep, usage(hint, "--explain %s is no address and port", shorter(text))
	}
	return netip.AddrPortFrom(ep.Addr().Unmap(), ep.Port()), nil
}

// seenAt are the newest observations of an endpoint, one of each vantage point.
func seenAt(f *policyFlags, ep netip.AddrPort, files []string, std streams, logs *logFormat) ([]policy.Endpoint, error) {
	in, err := policyInput("check", files, std, logs)
	if err != nil {
		return nil, err
	}
	newest := map[string]policy.Endpoint{}
	for e, err := range in.endpoints(f.vantage) {
		if err != nil {
			return nil, err
		}
		if old, known := newest[e.Vantage]; e.Addr == ep.Addr() && e.Port == ep.Port() && (!known || e.Time >= old.Time) {
			newest[e.Vantage] = e
		}
	}
	var all []policy.Endpoint
	for _, e := range newest {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b policy.Endpoint) int { return cmp.Compare(a.Vantage, b.Vantage) })
	return all, in.outcome()
}

// writeJSONLine writes what no record is as one line that a terminal can show.
func writeJSONLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err == nil {
		_, err = w.Write(append(results.Harmless(line), '\n'))
	}
	return err
}

func writeExplanation(w io.Writer, x *policy.Explanation) error {
	type line struct {
		Addr     netip.Addr     `json:"ip"`
		Port     uint16         `json:"port"`
		Vantage  string         `json:"vantage,omitempty"`
		State    string         `json:"state"`
		Service  string         `json:"service,omitempty"`
		Allowed  bool           `json:"allowed"`
		Severity string         `json:"severity,omitempty"`
		Want     string         `json:"want,omitempty"`
		Message  string         `json:"message"`
		Decides  *policy.Match  `json:"decides,omitempty"`
		Others   []policy.Match `json:"others,omitempty"`
	}
	e := &x.Endpoint
	return writeJSONLine(w, line{e.Addr, e.Port, e.Vantage, e.State.String(), e.Service, x.Allowed, x.Severity.String(), x.Want, x.Message, x.Decides, x.Others})
}

// policySection says what stands in a policy.
func policySection() section {
	return section{
		title: "Policy file",
		text:  "YAML. What no rule allows is shut; a deny wins over what allows, the narrower rule over the wider, and an exception over all until its last day (UTC) is over.",
		entries: []entry{
			{"version: 1", ""},
			{"vantage: [office, dmz]", "where scans are made from, as their records name the scanner"},
			{"sets: {web: [80, 443], db: 10.20.0.0/16}", "names for ports or for addresses"},
			{"rules:", "each with a name and"},
			{"  to: ADDRESSES", "prefixes, addresses, ranges, any, sets; one or a list"},
			{"  from: VANTAGE", "for these vantage points only"},
			{"  allow: {ports: PORTS}", "may be open; with service, unit or exe: only for that, where it is known"},
			{"  deny: {ports: PORTS}", "may not be open, whatever allows it"},
			{"  require: {ports: PORTS}", "has to be open, and may be"},
			{"  severity, owner", "of its violations: " + strings.Join(results.SeverityNames(), ", ") + "; who answers for it"},
			{"exceptions:", "each with to, ports, until: 2027-01-31, owner and ticket"},
		},
	}
}
