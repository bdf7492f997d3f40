package metrics

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"synoptic/results/crash"
)

const (
	// readTime is how long a request may take to come, writeTime an answer to leave, idleTime a connection to say nothing.
	readTime, writeTime, idleTime = 5 * time.Second, 10 * time.Second, time.Minute
	// maxHeader bounds a request, in bytes, and maxScrapes how many are answered at once.
	maxHeader, maxScrapes = 16 << 10, 4
	// endTime is how long scrapes under way are waited for at the end.
	endTime = time.Second
)

// Serve answers scrapes of /metrics on a listener until ctx ends, and closes it.
func Serve(ctx context.Context, l net.Listener, r *prometheus.Registry) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, Timeout: readTime}))
	server := &http.Server{
		Handler: mux, ReadTimeout: readTime, ReadHeaderTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: log.Default(), // which the program has adopted
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, crash.Guarded(func() {
		defer close(ended)
		until, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
		defer cancel()
		if server.Shutdown(until) != nil {
			server.Close()
		}
	}))
	err := server.Serve(l)
	if stop() {
		return err // nobody has ended it
	}
	<-ended
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// KeepEvery is how often Keep writes the file.
const KeepEvery = 15 * time.Second

// Keep writes a file at once, every KeepEvery, and once more when ctx ends. A new one takes the place of the old one in one step. told
// gets an error when it begins, and nil when it is over.
func Keep(ctx context.Context, file string, r *prometheus.Registry, told func(error)) {
	tick := time.NewTicker(KeepEvery)
	defer tick.Stop()
	failing := false
	write := func() {
		err := prometheus.WriteToTextfile(file, r)
		if (err != nil) != failing {
			failing = err != nil
			told(err)
		}
	}
	for {
		write()
		select {
		case <-ctx.Done():
			write()
			return
		case <-tick.C:
		}
	}
}
