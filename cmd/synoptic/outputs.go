package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"synoptic/results"
	"synoptic/results/bytesize"
	"synoptic/results/sink"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
)

// outputFlags say where records go, for every command that writes any.
type outputFlags struct {
	outputs     []string // [FORMAT:]DEST
	spool       string
	spoolMax    string
	deadLetters string
	timeout     time.Duration // of a delivery; 0 is as unattended says, unless it was given
	secrets     secretFlags

	given func(flag string) bool
}

func (f *outputFlags) register(fl *pflag.FlagSet) {
	fl.VarP((*words)(&f.outputs), "output", "o", "write records to `[FORMAT:]DEST`: a file, - or a URL. FORMAT is that of the file's ending, or jsonl; see Outputs below")
	fl.Var((*word)(&f.spool), "spool", "`FOLDER` for records that wait for an output which is slow or down")
	fl.Var((*word)(&f.spoolMax), "spool-max", "maximum spool `SIZE` per output (default 1G)")
	fl.Var((*word)(&f.deadLetters), "dead-letters", "`FILE` for records that a receiver refuses for good (default dead-letters.jsonl, in the spool where there is one)")
	fl.DurationVar(&f.timeout, "delivery-timeout", 0, "give up an output that takes no records for this `TIME` while the scan waits for it; 0: never (default never on a terminal, 10m elsewhere)")
	f.given = fl.Changed
	f.secrets.register(fl)
}

// receiverFlags are for certain receivers, by the beginning of their URL; what says that there is none such.
var receiverFlags = []struct{ flags, schemes, what string }{
	{"hec-token-file", "hec+https:", "no output is hec+https"},
	{"elastic-api-key-file elastic-user elastic-password-file", "elastic+https:", "no output is elastic+https"},
	{"ca-file client-cert client-key", "syslog+tls: hec+https: elastic+https:", "no output goes over TLS"},
	{"dead-letters", "hec+https: elastic+https: syslog+tcp: syslog+tls: unix:", "no output is a receiver that could refuse records"},
}

// tellIdle tells of flags of the command line that mean nothing to any of the outputs. Those of a profile or of the environment
// are for other scans, too.
func (f *outputFlags) tellIdle(s *settings, log *slog.Logger) {
	for _, r := range receiverFlags {
		if slices.ContainsFunc(f.outputs, func(spec string) bool {
			_, to := sink.Split(spec)
			return slices.ContainsFunc(strings.Fields(r.schemes), func(scheme string) bool { return strings.HasPrefix(to, scheme) })
		}) {
			continue
		}
		for name := range strings.FieldsSeq(r.flags) {
			if f.given(name) && !s.sets(name) {
				log.Warn("--" + name + " changes nothing: " + r.what)
			}
		}
	}
}

// unattendedTimeout is how long an output is waited for where nobody can end the waiting.
const unattendedTimeout = 10 * time.Minute

// deliveryTimeout is how long an output may take nothing; 0 is without end.
func (f *outputFlags) deliveryTimeout() (time.Duration, error) {
	switch {
	case f.timeout < 0:
		return 0, usage("give a duration such as 10m, or 0 to wait without end", "--delivery-timeout %v is negative", f.timeout)
	case f.timeout == 0 && !f.given("delivery-timeout") && !attended():
		return unattendedTimeout, nil
	}
	return f.timeout, nil
}

// attended tells whether somebody sits at a terminal, who can press Ctrl-C: not so under cron, systemd or CI.
func attended() bool {
	return slices.ContainsFunc([]*os.File{os.Stdin, os.Stdout, os.Stderr}, func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) })
}

// open opens every destination, so that one that cannot be written is known before the first packet.
// Without -o, standard output gets the table on a terminal, which is nil where there is none, and JSON
// lines elsewhere.
func (f *outputFlags) open(stdout standardOutput, table results.Sink, log *slog.Logger) (*sink.Tee, error) {
	specs := f.outputs
	var all []results.Sink
	switch {
	case slices.ContainsFunc(specs, toStdout):
		// Records are wanted where the table would be.
	case table != nil && term.IsTerminal(int(stdout.Fd())):
		all = append(all, table)
	case len(specs) == 0:
		specs = []string{"-"}
	}
	if slices.ContainsFunc(specs, toStdout) {
		if err := refuseClosed(stdout.File, log); err != nil {
			return nil, err
		}
	}
	if len(all)+len(specs) > 1 {
		stdout.stop = nil // the others go on without its reader
	}
	config, err := f.config(stdout, log)
	if err != nil {
		return nil, err
	}
	opened, err := sink.OpenAll(specs, config)
	if err != nil {
		return nil, err
	}
	for _, o := range opened {
		all = append(all, o)
	}
	outputs := sink.NewTee(all...)
	outputs.OnFailure(func(err error) { logFailure(log, err) })
	return outputs, nil
}

// config is what all outputs have in common.
func (f *outputFlags) config(stdout standardOutput, log *slog.Logger) (c sink.Config, err error) {
	c = sink.Config{Dest: dest.Options{Stdout: stdout, Version: version}, Spool: f.spool, DeadLetters: f.deadLetters}
	if c.DeliveryTimeout, err = f.deliveryTimeout(); err != nil {
		return c, err
	}
	c.Notify = logNotice(log, f.spool, c.DeliveryTimeout)
	switch {
	case f.spoolMax == "":
	case f.spool == "":
		return c, usage("give the folder with --spool", "--spool-max without --spool")
	default:
		if c.SpoolMax, err = bytesize.Parse(f.spoolMax); err != nil {
			return c, fmt.Errorf("--spool-max: %w", err)
		}
	}
	c.Dest.Hostname, _ = os.Hostname() // a record without one is a record
	c.Format.Hostname, c.Format.Version = c.Dest.Hostname, version
	c.Format.TempDir = f.spool
	return c, f.secrets.fill(&c.Dest, log)
}

// keepFrames tells whether an output keeps the replies' frames, which decides how the scan receives them.
func (f *outputFlags) keepFrames() bool {
	return slices.ContainsFunc(f.outputs, func(spec string) bool {
		name, _ := sink.Split(spec)
		known, _ := format.Lookup(name)
		return known.Frames
	})
}

// reopens makes SIGHUP mean the files among the outputs from now on, where there are any, and not the end
// of the program: it may come before they are open.
func (f *outputFlags) reopens(stop *stopper) {
	if slices.ContainsFunc(f.outputs, toFile) {
		stop.onHangup(func() {})
	}
}

// reopened has SIGHUP make the files anew, and does so once for one that has come already.
func reopened(outputs *sink.Tee, stop *stopper) {
	if outputs.Reopens() {
		stop.onHangup(outputs.Reopen)
		outputs.Reopen()
	}
}

// deadLetterFile is where records are that a destination refuses for good.
func (f *outputFlags) deadLetterFile() string { return sink.DeadLetters(f.deadLetters, f.spool) }

// abandon closes outputs of a scan that does not take place: what an earlier one has left in the spool
// is not waited for.
func abandon(outputs *sink.Tee) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = outputs.Finish(ctx) // nothing was written
}

func toStdout(spec string) bool {
	_, to := sink.Split(spec)
	return to == "-"
}

func toFile(spec string) bool {
	_, to := sink.Split(spec)
	return to != "-" && !dest.IsRemote(to)
}

// standardOutput takes records to standard output, which it never closes. Where the reader goes away,
// as head(1) does when it has seen enough, the scan is told to stop, unless there are other outputs.
type standardOutput struct {
	*os.File
	stop func() // nil where there are others
}

func (o standardOutput) Write(p []byte) (int, error) {
	n, err := o.File.Write(p)
	if !readerGone(err) {
		return n, err
	}
	if o.stop == nil {
		return n, err
	}
	o.stop()
	return n, errReaderGone
}

// errReaderGone is no failure: the only reader of a scan has seen enough.
var errReaderGone = errors.New("the reader of standard output has gone")

func (standardOutput) Close() error { return nil }

// readerGone tells whether a write failed because nobody reads the pipe any more.
func readerGone(err error) bool {
	if runtime.GOOS == "windows" {
		return errors.Is(err, syscall.Errno(232)) || errors.Is(err, syscall.Errno(109)) // ERROR_NO_DATA, ERROR_BROKEN_PIPE
	}
	return errors.Is(err, syscall.EPIPE)
}
