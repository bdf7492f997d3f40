package main

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"synoptic/results"
	"synoptic/results/sink"
	"synoptic/results/sink/dest"
)

// outputFlags say where records go, for every command that writes any.
type outputFlags struct {
	outputs []string // [FORMAT:]DEST
	secrets secretFlags
}

func (f *outputFlags) register(fl *pflag.FlagSet) {
	fl.VarP((*words)(&f.outputs), "output", "o", "write records to [FORMAT:]DEST (- for standard output; repeatable)")
	f.secrets.register(fl)
}

// open opens every destination, so that one that cannot be written is known before the first packet.
// Without -o, standard output gets the table on a terminal, which is nil where there is none, and JSON
// lines elsewhere.
func (f *outputFlags) open(stdout standardOutput, table results.Sink) (*sink.Tee, error) {
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
	config, err := f.config(stdout)
	if err != nil {
		return nil, err
	}
	for _, spec := range specs {
		s, err := sink.Open(spec, config)
		if err != nil {
			sink.NewTee(all...).Close()
			return nil, err
		}
		all = append(all, s)
	}
	return sink.NewTee(all...), nil
}

// config is what all outputs have in common.
func (f *outputFlags) config(stdout standardOutput) (c sink.Config, err error) {
	c.Dest = dest.Options{Stdout: stdout, Version: version}
	c.Dest.Hostname, _ = os.Hostname() // a record without one is a record
	c.Format.Hostname = c.Dest.Hostname
	return c, f.secrets.fill(&c.Dest)
}

func toStdout(spec string) bool {
	_, to := sink.Split(spec)
	return to == "-"
}

// standardOutput takes records to standard output, which it never closes. Where the reader goes away,
// as head(1) does when it has seen enough, the scan is told to stop, and nothing has failed.
type standardOutput struct {
	*os.File
	stop func()
}

func (o standardOutput) Write(p []byte) (int, error) {
	n, err := o.File.Write(p)
	if readerGone(err) {
		o.stop()
		return len(p), nil
	}
	return n, err
}

func (standardOutput) Close() error { return nil }

// readerGone tells whether a write failed because nobody reads the pipe any more.
func readerGone(err error) bool {
	if runtime.GOOS == "windows" {
		return errors.Is(err, syscall.Errno(232)) || errors.Is(err, syscall.Errno(109)) // ERROR_NO_DATA, ERROR_BROKEN_PIPE
	}
	return errors.Is(err, syscall.EPIPE)
}
