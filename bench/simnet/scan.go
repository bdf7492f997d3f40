package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
)

// simulate brings the internet up, scans it and compares.
func simulate(ctx context.Context, o options, progress io.Writer) (*report, error) {
	n, err := testnet.Open(testnet.Config{Prefix: o.prefix, Subnet: o.internet.LocalNet, Gateway: true})
	if err != nil {
		return nil, err
	}
	defer n.Close()
	internet, err := responder.Attach(n, o.internet)
	if err != nil {
		return nil, err
	}
	defer internet.Close()
	args := o.scanLine()
	if !ownProgram(args) {
		pass, err := responder.AttachPass(n)
		if err != nil {
			return nil, err
		}
		defer pass.Close()
	}

	p, err := bench.Build()
	if err != nil {
		return nil, err
	}
	defer p.Close()

	fmt.Fprintf(progress, "a simulated internet: %s\n$ synoptic %s\n", o.describe(), strings.Join(args, " "))
	r := &report{options: o, seen: newFindings(o)}
	if err := r.scan(ctx, p, append(args, "--quiet", "-o", "-")); err != nil {
		return nil, err
	}
	if r.internet, err = internet.Counters(); err != nil {
		return nil, err
	}
	return r, nil
}

var errInterrupted = errors.New("interrupted")

// scanLine is the command line of the scan: what it is given, and the defaults of what it is not, for a flag twice is refused.
func (o *options) scanLine() []string {
	line := []string{"scan", o.prefix.String(), "-p", o.ports.String()}
	for _, d := range [][3]string{{"--backend", "", "ebpf"}, {"--rate", "-r", "300k"}, {"--retries", "", "1"}} {
		given := slices.ContainsFunc(o.scanArgs, func(arg string) bool {
			name, _, _ := strings.Cut(arg, "=")
			return name == d[0] || d[1] != "" && strings.HasPrefix(arg, d[1])
		})
		if !given {
			line = append(line, d[0], d[2])
		}
	}
	return append(line, o.scanArgs...)
}

// ownProgram tells whether the scan puts an XDP program on its end of the link, which must then be
// free. The choice of --backend auto respects a program that is there. The last --backend counts.
func ownProgram(args []string) (own bool) {
	for i, a := range args {
		backend, ok := strings.CutPrefix(a, "--backend=")
		if a == "--backend" && i+1 < len(args) {
			backend, ok = args[i+1], true
		}
		if ok {
			own = backend == "xdp" || backend == "ebpf"
		}
	}
	return own
}

// record is what simnet reads of any of the program's records.
type record struct {
	Type string

	// scan_start
	Probes uint64

	// port
	IP    netip.Addr
	Port  uint16
	State string

	// scan_end
	end
}

type end struct {
	Sent          uint64
	Retransmitted uint64
	Closed        uint64
	Duplicates    uint64
	RxDrops       uint64 `json:"rx_drops"`
	PPS           float64
	Duration      float64 `json:"duration_s"`
	Backend       string
	Complete      bool
}

// scan runs the program and takes in its records.
func (r *report) scan(ctx context.Context, p *bench.Program, args []string) error {
	cmd := p.Command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the scan: %w", err)
	}
	peak := bench.WatchMemory(cmd.Process.Pid)
	readErr := r.read(out)
	if readErr != nil {
		_ = cmd.Process.Signal(os.Interrupt)
		_, _ = io.Copy(io.Discard, out)
	}
	err = cmd.Wait()
	r.memory, r.wall = peak(), time.Since(begun)
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case readErr != nil:
		return readErr
	case err != nil:
		return fmt.Errorf("the scan failed: %w\n%s", err, bytes.TrimSpace(stderr.Bytes()))
	case !r.end.Complete:
		return errors.New("the scan ended without its last record")
	}
	return nil
}

func (r *report) read(from io.Reader) error {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		var rec record
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			return &usageError{fmt.Sprintf("the scan wrote what is no record: %s", lines.Bytes()), "the scan must write JSON lines to its standard output"}
		}
		switch rec.Type {
		case "scan_start":
			if rec.Probes != r.options.probes() {
				return &usageError{fmt.Sprintf("the scan probes %s ports, not the %s of -prefix and -ports", grouped(rec.Probes), grouped(r.options.probes())),
					"say what to scan by -prefix and -ports, before --"}
			}
		case "port":
			r.seen.add(rec.IP, rec.Port, rec.State)
		case "scan_end":
			r.end = rec.end
		}
	}
	return lines.Err()
}

// findings are the open ports that the scan reported, one bit per port asked.
type findings struct {
	options    options
	truth      responder.Truth
	bits       []uint64
	open       uint64 // found, and truly open
	wrong      uint64 // records that say what is not so
	outside    uint64 // of ports that were not asked for
	duplicated uint64 // open ports reported more than once
}

func newFindings(o options) *findings {
	return &findings{options: o, truth: o.internet.Truth(), bits: make([]uint64, (o.probes()+63)/64)}
}

func (f *findings) add(addr netip.Addr, port uint16, state string) {
	i, ok := f.options.ports.Index(port)
	if !ok || !f.options.prefix.Contains(addr) {
		f.outside++
		return
	}
	truth := f.truth.State(addr, port)
	switch state {
	case "open":
		if truth != responder.Open {
			f.wrong++
			return
		}
		at := uint64(distance(f.options.prefix.Addr(), addr))*uint64(f.options.ports.Len()) + uint64(i)
		if f.bits[at/64]>>(at%64)&1 != 0 {
			f.duplicated++
			return
		}
		f.bits[at/64] |= 1 << (at % 64)
		f.open++
	case "closed":
		if truth != responder.Closed {
			f.wrong++
		}
	}
}

func distance(from, to netip.Addr) uint32 {
	return number(to) - number(from)
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// count walks the truth: how many of the ports asked are open and closed.
func (f *findings) count() (open, closed uint64) {
	ports := slices.Collect(f.options.ports.All())
	for a := f.options.prefix.Addr(); f.options.prefix.Contains(a); a = a.Next() {
		for _, p := range ports {
			switch f.truth.State(a, p) {
			case responder.Open:
				open++
			case responder.Closed:
				closed++
			}
		}
	}
	return open, closed
}
