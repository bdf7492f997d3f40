package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/peers"
)

// scanner is a tool in one setting.
type scanner struct {
	tool, setting string
	run           func(ctx context.Context, r *road, w *way, bound time.Duration) (outcome, error)
}

func (s *scanner) String() string { return strings.TrimSpace(s.tool + " " + s.setting) }

// outcome is what a run of any tool gave.
type outcome struct {
	Wall      float64 // s, from the start of the process to its end
	Stopped   bool    // at its bound of time
	LimitedBy string  `json:",omitempty"` // as synoptic says
	Capacity  float64 `json:",omitempty"` // packets per second, likewise
	Complete  bool    // likewise
	open      map[netip.AddrPort]bool
}

// ours is synoptic with some flags.
func ours(p *bench.Program, flags ...string) scanner {
	s := scanner{tool: "synoptic", setting: strings.Join(flags, " ")}
	s.run = func(ctx context.Context, r *road, w *way, bound time.Duration) (outcome, error) {
		args := append([]string{"scan", w.targets.String(), "-p", strconv.Itoa(int(w.port)), "--backend", "afpacket", "-q"}, flags...)
		return synoptic(ctx, p, bound, args...)
	}
	return s
}

// incomplete is the exit code of a scan that says that it has not seen all.
const incomplete = 4

// synoptic runs it to its end or the bound: then what it has found by then counts.
func synoptic(ctx context.Context, p *bench.Program, bound time.Duration, args ...string) (o outcome, err error) {
	limited, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	cmd := p.Command(limited, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runtime.LockOSThread() // the signal at the parent's death follows the thread
	defer runtime.UnlockOSThread()
	bench.DieWithParent(cmd)
	begun := time.Now()
	err = cmd.Run()
	o.Wall, o.Stopped = time.Since(begun).Seconds(), limited.Err() != nil
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return o, ctx.Err()
	case err == nil, o.Stopped, errors.As(err, &exit) && exit.ExitCode() == incomplete:
	default:
		return o, fmt.Errorf("synoptic %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return o, o.read(stdout.Bytes())
}

// read takes a stream of records.
func (o *outcome) read(stream []byte) error {
	o.open = map[netip.AddrPort]bool{}
	ended := false
	for line := range bytes.Lines(stream) {
		var record struct {
			Type      string
			IP        netip.Addr
			Port      uint16
			State     string
			LimitedBy string  `json:"limited_by"`
			Capacity  float64 `json:"capacity_pps"`
			Complete  bool
		}
		if err := json.Unmarshal(line, &record); err != nil {
			return fmt.Errorf("read %.200q: %w", line, err)
		}
		switch {
		case record.Type == "port" && record.State == "open":
			o.open[netip.AddrPortFrom(record.IP, record.Port)] = true
		case record.Type == "scan_end":
			ended = true
			o.LimitedBy, o.Capacity, o.Complete = record.LimitedBy, record.Capacity, record.Complete
		}
	}
	if !ended {
		return errors.New("the record stream has no end")
	}
	return nil
}

// theirs is another tool at a rate, 0 being its default.
func theirs(t peers.Tool, setting string, rate int, extra ...string) scanner {
	s := scanner{tool: t.Name, setting: setting}
	s.run = func(ctx context.Context, r *road, w *way, bound time.Duration) (o outcome, err error) {
		got, err := t.Scan(ctx, peers.Job{Network: r.net, Targets: w.targets, Ports: strconv.Itoa(int(w.port)), Rate: rate, Extra: extra, Bound: bound})
		return outcome{Wall: got.Wall.Seconds(), Stopped: got.Stopped, open: got.Open}, err
	}
	return s
}

// missing tells why a tool cannot be run; nil where it can.
func (s *scanner) missing() error {
	for _, t := range []peers.Tool{peers.Masscan, peers.Zmap, peers.Nmap} {
		if t.Name == s.tool {
			_, err := t.Path()
			return err
		}
	}
	return nil
}

// weigh measures how many bytes a probe of a tool has, Ethernet header included, where it meets the bottleneck: which counts bytes, so its rate in
// packets depends on them.
func weigh(ctx context.Context, s *scanner) (frame float64, err error) {
	targets := netip.MustParsePrefix("10.64.0.0/24")
	w := way{targets: targets, alive: []netip.Prefix{targets}, rate: 1 << 30, queue: time.Second, port: 80}
	r, err := build(w)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if _, err = s.run(ctx, r, &w, 30*time.Second); err != nil {
		return 0, err
	}
	p, err := r.hosts.Passed()
	if err == nil && p.Packets < 200 {
		err = fmt.Errorf("%v sent %d packets to 256 ports", s, p.Packets)
	}
	return math.Round(float64(p.Bytes) / float64(p.Packets)), err
}
