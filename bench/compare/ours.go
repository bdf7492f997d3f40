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
	"runtime"
	"strings"
	"time"

	"synoptic/bench"
)

// scan runs synoptic, its records going into a file as those of the peers do. At the end of ctx it is
// interrupted, which is not an error: what it had found by then counts.
func scan(ctx context.Context, program *bench.Program, backend string, file *os.File, args []string, ended func()) (got outcome, err error) {
	cmd := program.Command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = file, &stderr
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	bench.DieWithParent(cmd)
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return got, err
	}
	memory, maps := bench.WatchMemory(cmd.Process.Pid), bench.WatchMaps(cmd.Process.Pid)
	err = cmd.Wait()
	got.Wall = time.Since(begun).Seconds()
	ended()
	got.PeakRSS, got.Maps = memory(), maps()
	got.User, got.System = cmd.ProcessState.UserTime().Seconds(), cmd.ProcessState.SystemTime().Seconds()
	interrupted := ctx.Err() != nil
	if _, e := file.Seek(0, io.SeekStart); e != nil {
		return got, e
	}
	ran, e := got.read(file)
	return got, verdict(err, e, interrupted, backend, ran, firstLine(stderr.String()))
}

// verdict tells what a run counts for: its exit and the reading of its records, the backend asked for
// and the one it said it ran, empty where it said nothing, and its first complaint.
func verdict(exit, reading error, interrupted bool, backend, ran, complaint string) error {
	switch {
	case exit != nil && ran == "" && !interrupted:
		// It ended before its first record: flags or surroundings that it does not accept.
		return &refusal{"refused: " + complaint}
	case exit != nil && !interrupted:
		return fmt.Errorf("%w: %s", exit, complaint)
	case reading != nil:
		return reading
	case ran != backend:
		return &refusal{fmt.Sprintf("asked for %s, it ran %s", backend, ran)}
	}
	return nil
}

// firstLine is what the program says went wrong, without its name.
func firstLine(stderr string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	return strings.TrimPrefix(strings.TrimPrefix(line, "synoptic: "), "error: ")
}

// read takes a record stream and returns the backend that the program says it used, empty where there
// is no first record. A stream without its last record, and a port told twice, are errors.
func (got *outcome) read(stream io.Reader) (backend string, err error) {
	got.open = map[netip.AddrPort]bool{}
	complete := false
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		var record struct {
			Type          string
			Backend       string
			IP            netip.Addr
			Port          uint16
			State         string
			Sent          uint64
			Retransmitted uint64
			RxDrops       int64 `json:"rx_drops"`
			PPS           float64
			Complete      bool
		}
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return backend, fmt.Errorf("read %.200q: %w", lines.Text(), err)
		}
		switch record.Type {
		case "scan_start":
			backend = record.Backend
		case "port":
			e := netip.AddrPortFrom(record.IP, record.Port)
			if record.State != "open" {
				continue
			}
			if got.open[e] {
				return backend, fmt.Errorf("%v was reported twice", e)
			}
			got.open[e] = true
		case "scan_end":
			complete = true
			got.Stopped = !record.Complete
			got.Firsts = record.Sent - record.Retransmitted
			got.OwnPPS, got.SocketDrops = record.PPS, record.RxDrops
		}
	}
	if err := lines.Err(); err != nil {
		return backend, err
	}
	if !complete {
		return backend, errors.New("the record stream has no end")
	}
	return backend, nil
}
