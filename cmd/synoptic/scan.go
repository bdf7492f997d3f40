package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results/bytesize"
	"synoptic/scan"
	"synoptic/scan/permute"
	"synoptic/scan/plan"
	"synoptic/scan/probe"
)

// scanFlags are the words of the command line, not yet understood.
type scanFlags struct {
	ports    []string
	topPorts int

	targetFiles  []string
	exclude      []string
	excludeFiles []string
	scope        []string

	excludePorts []string
	only4, only6 bool
	strict       bool

	rate, bandwidth  string
	minRate, maxRate string
	ratePerHost      string
	ratePerPrefix    []string
	noBackoff        bool
	retries          int
	retryGap         time.Duration
	targetRecall     float64
	wait             time.Duration
	beacons          []string
	patience         time.Duration
	batch            int
	lanes            int
	seed             uint64
	shard            string

	iface      []string
	sourceIP   string
	spoof      bool
	sourcePort uint16
	gatewayMAC string
	backend    string
	profile    string
	maxMemory  string

	outputs      outputFlags
	tags         tagFlags
	show         []string
	canaries     bool
	verify       bool
	showHosts    bool
	minCoverage  float64
	dryRun       bool
	quiet, json  bool
	verbose, yes bool
	settings     settings
	outside      outsideFlags
	inventory    string // file of a database
	vantage      string
	confirm      string
	policy       string // file
}

// defaultTopPorts are scanned where no port is named.
const defaultTopPorts = 1000

func newScanCommand(stop *stopper, std streams, args []string, logs *logFormat) *cobra.Command {
	f := scanFlags{backend: plan.BackendAuto, profile: probe.ProfileMSS.String(), maxMemory: "256M"}
	cmd := &cobra.Command{
		Use:   "scan [flags] TARGET...",
		Short: "Find the open TCP ports of a network",
		Long: `Sends TCP SYN packets to every port of every target, in random order, and
reports which ports are open. TARGET is an address (10.0.0.1), a prefix
(10.0.0.0/16), a range (10.0.0.1-10.0.0.99), an octet pattern
(10.0.0-3.1-254), a host name, one port of one host (10.0.0.1:443), or - for a
list on standard input. Files may be compressed by gzip or zstd. Scan only what
you are authorized to scan.

On a terminal the results are a table. Redirected, they are JSON lines.
Enter, or the signal SIGUSR1, gives a line of how far the scan is.`,
		Example: `  synoptic scan 127.0.0.1 -p-
  synoptic scan 10.20.0.0/16 -p 22,80,443 --rate 50k -o scan.jsonl
  synoptic scan -i targets.txt --exclude-file never.txt --dry-run
  synoptic scan 10.20.0.0/16 --profile nightly -o hec+https://splunk.example`,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(cmd *cobra.Command, targets []string) error {
			return f.settings.blame(runScan(cmd, stop, &f, targets, args, std, *logs))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic scan --help"))
	fl := cmd.Flags()
	fl.SortFlags = false
	f.registerTargets(fl)
	f.registerPath(fl)
	fl.VarP((*word)(&f.rate), "rate", "r", "probes per second, `PPS`: 0.5, 10k, 1.5M, or auto: as fast as the path carries (default auto; 500k for local targets)")
	fl.Var((*word)(&f.maxRate), "max-rate", "with --rate auto, go no faster than `PPS` (default: what the link carries)")
	fl.Var((*word)(&f.minRate), "min-rate", fmt.Sprintf("with --rate auto, go no slower than `PPS` (default %d)", plan.AutoMin))
	fl.Var((*word)(&f.bandwidth), "bandwidth", "bits per second on the wire, `BPS`: 100M; of rate and bandwidth the lower limit applies")
	fl.Var((*word)(&f.ratePerHost), "rate-per-host", "send at most `PPS` packets per second to any one host, retries included: 0.5, 20")
	fl.Var((*words)(&f.ratePerPrefix), "rate-per-prefix", "send at most so many packets per second to any one prefix of a length, `LENGTH:PPS`: 24:100 for IPv4, 64:100 or v6/32:1k for IPv6")
	fl.BoolVar(&f.noBackoff, "no-backoff", false, "do not slow prefixes that begin to refuse probes")
	fl.IntVar(&f.retries, "retries", plan.DefaultAttempts-1, "probe a port that does not answer `N` more times, 0 to 9")
	fl.DurationVar(&f.retryGap, "retry-gap", plan.DefaultRetryGap, "`TIME` between two probes to a port; shortened automatically on fast networks")
	fl.Float64Var(&f.targetRecall, "target-recall", 0, "keep retrying until this `SHARE` of the open ports should be found, such as 0.999")
	fl.DurationVar(&f.wait, "wait", plan.DefaultWait, "wait at most this `TIME` for answers after the last probe")
	fl.Uint64Var(&f.seed, "seed", 0, "seed `N` of the probe order (default random)")
	fl.Var((*word)(&f.shard), "shard", "scan part `I/N` of the same seed: 2/8")
	fl.Var((*word)(&f.backend), "backend", "`HOW` probes are sent: auto, afpacket (packet sockets), xdp (replies checked in the kernel), ebpf (probes generated there, too) or connect (needs no privilege)")
	fl.Var((*word)(&f.profile), "syn-profile", "TCP options of a probe, like those of `SYSTEM`: mss, linux, windows or none")
	fl.IntVar(&f.batch, "batch", plan.DefaultBatch, fmt.Sprintf("`N` probes per system call, 1 to %d", plan.MaxBatch))
	fl.IntVar(&f.lanes, "lanes", 0, fmt.Sprintf("`N` threads that send, 1 to %d (default by rate and processors)", plan.MaxLanes))
	fl.Var((*word)(&f.maxMemory), "max-memory", "memory of the result map, at most `SIZE`")
	f.outputs.register(fl)
	registerJSON(fl, &f.json, ": as -o - does; with --dry-run the plan, in one line")
	f.tags.register(fl)
	f.outside.register(fl)
	fl.Var((*word)(&f.inventory), "inventory", "put the scan into the inventory in `FILE`, which is made where there is none")
	fl.Var((*word)(&f.vantage), "vantage", "`NAME` of the point that the network is seen from, in the inventory (default the host's name)")
	fl.Var((*word)(&f.confirm), "confirm", "with --inventory, when to ask again what is otherwise than it knows, counted from the scan's end: `TIMES`, or none (default 2s,1m,10m)")
	fl.Var((*word)(&f.policy), "policy", "with --inventory, judge by the policy in `FILE` what it knows then, and report which violations begin and end")
	fl.Var((*words)(&f.show), "show", "`STATES` to report: open, closed, filtered (unknown included), unknown or all, separated by commas (default open)")
	fl.BoolVar(&f.canaries, "canaries", false, "first probe two random ports of every host, to find hosts that open every port")
	fl.BoolVar(&f.verify, "verify", false, "complete the handshake with open ports, and record the banner")
	fl.BoolVar(&f.showHosts, "show-hosts", false, "print a summary per host")
	fl.Float64Var(&f.minCoverage, "min-coverage", 0, "exit with 4 where a smaller `SHARE` of the probes could be sent")
	fl.BoolVar(&f.dryRun, "dry-run", false, "print the plan and send nothing")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "warnings and errors only on standard error: no plan, no progress, no summary")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "plan with frames, lanes, window and seed")
	fl.BoolVar(&f.yes, "yes", false, "scan even if it takes more than 30 days")
	registerProfile(fl)
	completeScan(cmd)
	return cmd
}

// runScan does what the command says, in the order that sends nothing before all is known good:
// flags, targets, plan, outputs, scan.
func runScan(cmd *cobra.Command, stop *stopper, f *scanFlags, targets, args []string, std streams, logs logFormat) error {
	f.outputs.jsonTo(f.json)
	f.outputs.reopens(stop)
	if err := checkOutputs(f.outputs.outputs); err != nil {
		return err
	}
	if _, err := f.outside.places(); err != nil {
		return err
	}
	view := newView(std, f, logs)
	defer view.Clear()
	defer statusRequests(view, f.enterFile(targets, std))()
	f.outputs.tellIdle(&f.settings, view.Log())
	tagged, err := f.tags.load()
	if err != nil {
		return err
	}
	config, err := f.config(cmd, targets, std, logs, view)
	if err != nil {
		return err
	}
	config.Args = recordable(slices.Concat(args, f.settings.args()))
	for i, word := range config.Args {
		config.Args[i] = secrets.Clean(word)
	}
	p, err := plan.New(config)
	if err != nil {
		return err
	}
	heapWithin(plan.ThisHost())
	if p.Choice.Backend == plan.BackendConnect && cmd.Flags().Changed("syn-profile") {
		return usage("leave --syn-profile out, or run where raw sockets are permitted", "backend connect (%s) leaves TCP options to the kernel", p.Choice.Reason)
	}
	if f.dryRun {
		return f.writePlan(std, p)
	}
	if err := f.checkDuration(p, view.Log()); err != nil {
		return err
	}
	kept, err := openKept(f.inventory, f.vantage, f.confirm, f.policy, f.outputs.outputs)
	if err != nil {
		return err
	}
	defer kept.close()
	outside, err := f.outside.open()
	if err != nil {
		return err
	}
	defer outside.close()
	ctx, gone := context.WithCancelCause(stop.ctx)
	defer gone(nil)
	outputs, err := f.outputs.open(standardOutput{std.out, func() { gone(errReaderGone) }}, view, view.Log())
	if err != nil {
		return err
	}
	s, err := scan.New(p)
	if err != nil {
		abandon(outputs)
		return err
	}
	outputs.Report()
	outside.begin(s, view.Log())
	reopened(outputs, stop)
	planned := p.Choice.Backend
	f.settings.tell(std.err, f.quiet, logs)
	view.Begin(p)
	stopProgress := view.Follow(s, outputs)
	stop.scan()
	told := &teller{Tee: outputs, log: view.Log(), note: view.Note, named: len(p.Asked.Beacons) > 0}
	end, err := s.Run(ctx, kept.before(stamp(told, tagged)))
	err = errors.Join(err, kept.finish(ctx, s, p, view, err != nil))
	if end == nil {
		gone(nil) // nothing was scanned: what waits from earlier scans goes on waiting
	}
	view.Delivering()
	err = errors.Join(err, outputs.Finish(ctx))
	stopProgress()
	outside.close()
	enough := errors.Is(context.Cause(ctx), errReaderGone)
	if enough && errors.Is(err, errReaderGone) {
		err = nil
	}
	if enough && end != nil {
		view.Enough()
		end.Error = ""
	}
	if err == nil && end.Complete && end.Sent == 0 && end.NoARP < end.Probes {
		err = nothingSent(end)
	}
	if end != nil {
		if end.Backend != planned {
			view.Instead(planned, s.Choice())
		}
		told.sumUp(end.Evidence, end.NoResponse)
		warnOfDrops(view.Log(), end)
		view.Report()
		view.Finish(end, err)
		f.outputs.logDead(view.Log(), outputs.Deliveries())
		view.Deliveries(outputs.Deliveries())
	}
	kept.delivered(outputs.Deliveries())
	lost := !kept.tell(view.Log())
	if err != nil {
		return failure{err}
	}
	if lost || outputs.Broken() && !enough { // which was said when it happened
		return exit(exitFailure)
	}
	if kept.interrupted(ctx) {
		return exit(exitStopped)
	}
	if code := exitCode(end, ctx.Err() != nil, waiting(outputs), f.minCoverage); code != exitComplete {
		return exit(code)
	}
	return nil
}

// newView is the screen of a scan.
func newView(std streams, f *scanFlags, logs logFormat) *screen.View {
	view := screen.New(screen.Config{
		Out: std.out, Err: std.err, Quiet: f.quiet, Verbose: f.verbose, JSON: logs == logJSON, Logger: logs.logger, Flags: withFlags,
		Clean: func(w io.Writer) io.Writer { return cleaned{w} },
	})
	adopt(view.Log)
	return view
}

// config understands the flags.
func (f *scanFlags) config(cmd *cobra.Command, targets []string, std streams, logs logFormat, view *screen.View) (c plan.Config, err error) {
	c = plan.Config{
		Version: version, Seed: f.seed, HasSeed: cmd.Flags().Changed("seed"),
		Backend: f.backend, Interface: strings.TrimSpace(strings.Join(f.iface, ",")), SourcePort: f.sourcePort, SpoofSource: f.spoof, Strict: f.strict, Wait: f.wait, NoBackoff: f.noBackoff,
	}
	if strings.Contains(c.Interface, ",") {
		return c, usage("give one, or leave it out: then the routing table decides for each target", "--interface %s: several interfaces", c.Interface)
	}
	if len(targets) == 0 && len(f.targetFiles) == 0 {
		return c, noTarget(std.in)
	}
	ports, err := f.parsePorts(cmd.Flags().Changed("top-ports"))
	if err != nil {
		return c, err
	}
	if err := f.pace(&c); err != nil {
		return c, err
	}
	if recall := cmd.Flags().Changed("target-recall"); recall && cmd.Flags().Changed("retries") {
		return c, usage("give one of them", "--retries and --target-recall are both given")
	} else if recall && !(f.targetRecall > 0 && f.targetRecall < 1) { // NaN is neither
		return c, usage("give a share such as 0.999", "--target-recall %v is not between 0 and 1", f.targetRecall)
	}
	if f.retries < 0 || f.retries > 9 {
		return c, usage("give 0 to 9 retries", "--retries %d is out of range", f.retries)
	}
	if f.batch < 1 || f.batch > plan.MaxBatch {
		return c, usage(fmt.Sprintf("give 1 to %d", plan.MaxBatch), "--batch %d is out of range", f.batch)
	}
	if cmd.Flags().Changed("batch") {
		c.Batch = f.batch
	}
	if f.lanes < 1 && cmd.Flags().Changed("lanes") || f.lanes > plan.MaxLanes {
		return c, usage(fmt.Sprintf("give 1 to %d", plan.MaxLanes), "--lanes %d is out of range", f.lanes)
	}
	c.Lanes = f.lanes
	if f.retryGap <= 0 {
		return c, usage("give a duration such as 1s", "--retry-gap %v is not above 0", f.retryGap)
	}
	if cmd.Flags().Changed("retries") {
		c.Attempts = f.retries + 1
	}
	if cmd.Flags().Changed("retry-gap") {
		c.RetryGap = f.retryGap
	}
	c.TargetRecall = f.targetRecall
	if f.wait <= 0 {
		return c, usage("give a duration such as 8s", "--wait %v is not above 0", f.wait)
	}
	if f.patience <= 0 {
		return c, usage("give a duration such as 60s", "--patience %v is not above 0", f.patience)
	}
	c.Patience = f.patience
	if f.shard != "" && !c.HasSeed {
		return c, usage("give all shards the same --seed", "--shard without --seed: shards of different orders overlap and leave gaps")
	}
	if f.shard != "" {
		if c.ShardI, c.ShardOf, err = permute.ParseShard(f.shard); err != nil {
			return c, fmt.Errorf("--shard: %w", err)
		}
	}
	if f.sourceIP != "" {
		if c.Source, err = netip.ParseAddr(f.sourceIP); err != nil {
			return c, usage("give an address of this host", "--source-ip %s: not an IP address", f.sourceIP)
		}
	}
	if cmd.Flags().Changed("source-port") && f.sourcePort == 0 {
		return c, usage("choose a port from 1 to 65520", "--source-port 0 is not a TCP port")
	}
	if f.gatewayMAC != "" {
		if c.GatewayMAC, err = net.ParseMAC(f.gatewayMAC); err != nil || len(c.GatewayMAC) != 6 {
			return c, usage("give six bytes in hex: 02:00:5e:10:00:01", "--gateway-mac: %q is not an Ethernet address", f.gatewayMAC)
		}
	}
	if c.Backend, err = oneOf("backends", f.backend, backendNames); err != nil {
		return c, err
	}
	if f.profile, err = oneOf("SYN profiles", f.profile, profileNames); err != nil {
		return c, err
	}
	if c.Profile, err = probe.ParseProfile(f.profile); err != nil {
		return c, fmt.Errorf("--syn-profile: %w", err)
	}
	if c.MaxMemory, err = bytesize.Parse(f.maxMemory); err != nil {
		return c, fmt.Errorf("--max-memory: %w", err)
	}
	if c.Show, err = parseShow(f.show); err != nil {
		return c, err
	}
	c.Live = f.outside.control != ""
	c.Canaries, c.Verify, c.ShowHosts = f.canaries, f.verify, f.showHosts
	c.Frames = f.outputs.keepFrames()
	if !(f.minCoverage >= 0 && f.minCoverage <= 1) { // NaN is neither
		return c, usage("give a share such as 0.99", "--min-coverage %v is not from 0 to 1", f.minCoverage)
	}
	if c.Targets, err = f.load(cmd.Context(), &c, targets, ports, std, logs, view); err != nil {
		return c, err
	}
	c.Beacons = c.Targets.Beacons
	if _, ports := c.Targets.Space.Product(); ports == nil && (len(f.ports) > 0 || cmd.Flags().Changed("top-ports")) {
		logs.logger(std.err).Warn("the ports asked for are probed on no target: each has a port of its own", hintKey, "leave :PORT out of a target to probe it on them")
	}
	return c, nil
}
