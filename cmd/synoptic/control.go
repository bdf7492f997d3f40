package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"synoptic/scan"
	"synoptic/scan/control"
	"synoptic/scan/metrics"

	"synoptic/results/crash"
)

// outsideFlags say how a scan is changed and watched from outside while it runs.
type outsideFlags struct {
	control string
	metrics []string
}

func (f *outsideFlags) register(fl *pflag.FlagSet) {
	fl.Var((*word)(&f.control), "control", "listen on `SOCKET`, a Unix socket, for synoptic ctl: rate, pause, resume, exclude, status")
	fl.Var((*words)(&f.metrics), "metrics", "show metrics to Prometheus at `WHERE`: a port of this host, ADDRESS:PORT, or a FILE.prom for node_exporter; repeatable")
}

// places reads where metrics go.
func (f *outsideFlags) places() (all []metrics.Where, err error) {
	seen := map[metrics.Where]bool{}
	for _, text := range f.metrics {
		w, err := metrics.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("--metrics %w", err)
		}
		if seen[w] {
			return nil, usage("name each once", "--metrics %s is given twice", text)
		}
		seen[w] = true
		all = append(all, w)
	}
	return all, nil
}

// outside is what is open for others while a scan runs.
type outside struct {
	control   net.Listener // nil: nobody may change the scan
	scrapes   []net.Listener
	files     []string
	stop      context.CancelFunc
	goingOn   sync.WaitGroup
	closeOnce sync.Once
}

// open makes everything ready, before anything is sent.
func (f *outsideFlags) open() (o *outside, err error) {
	o = &outside{}
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	places, err := f.places()
	if err != nil {
		return o, err
	}
	for _, w := range places {
		l, err := w.Open()
		switch {
		case err != nil:
			return o, fmt.Errorf("--metrics %w", err)
		case l == nil:
			o.files = append(o.files, w.File)
		default:
			o.scrapes = append(o.scrapes, l)
		}
	}
	if f.control == "" {
		return o, nil
	}
	if o.control, err = control.Listen(f.control); err != nil {
		return o, fmt.Errorf("--control %w", err)
	}
	return o, nil
}

// begin serves a scan until close is called.
func (o *outside) begin(s *scan.Scan, log *slog.Logger) {
	o.serve(&control.Server{Scan: s, Clean: secrets.Clean}, metrics.New(version, s.Status), log)
}

// serve answers whoever asks, and shows metrics, until close is called.
func (o *outside) serve(server *control.Server, registry *prometheus.Registry, log *slog.Logger) {
	ctx, stop := context.WithCancel(context.Background())
	o.stop = stop
	failed := func(what string, err error) {
		if err != nil {
			log.Warn(fmt.Sprintf("%s: %v", what, err))
		}
	}
	if o.control != nil {
		o.goingOn.Go(crash.Guarded(func() { failed("--control", server.Serve(ctx, o.control)) }))
	}
	for _, l := range o.scrapes {
		o.goingOn.Go(crash.Guarded(func() { failed("--metrics", metrics.Serve(ctx, l, registry)) }))
	}
	for _, file := range o.files {
		o.goingOn.Go(crash.Guarded(func() {
			metrics.Keep(ctx, file, registry, func(err error) {
				if err == nil {
					log.Warn("--metrics " + file + ": is written again")
				}
				failed("--metrics "+file, err)
			})
		}))
	}
}

// close ends all. It may be called again.
func (o *outside) close() {
	o.closeOnce.Do(func() {
		if o.stop != nil {
			o.stop() // which closes the listeners
			o.goingOn.Wait()
			return
		}
		for _, l := range append(o.scrapes, o.control) {
			if l != nil {
				l.Close()
			}
		}
	})
}
