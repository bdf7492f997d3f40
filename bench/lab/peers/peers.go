// Package peers runs other scanners, each in the settings in which it does best, on a test network,
// and reads their results:
//
//	Nmap, Masscan, Zmap ─▶ Tool.Scan(Job) ─▶ prepare the link ─▶ run, bounded ─▶ parse ─▶ Result
//
// They are found on the PATH and never installed by this package. Debian's versions were tried:
// nmap 7.93, masscan 1.3.2, zmap 2.1.1.
package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"synoptic/bench/lab/testnet"
)

// Job says what to scan. Network and Targets are needed.
type Job struct {
	Network *testnet.Network // made with Config.Gateway: masscan and zmap send everything to one link address
	Targets netip.Prefix
	Ports   string // as nmap and masscan read them: "80,443", "1-65535"; zmap takes one
	// Rate in packets per second; 0 is the tool's default. Nmap takes it as its --min-rate.
	Rate int
	// Retries is the number of probes after the first one; 0 is the tool's default (nmap up to 10,
	// masscan and zmap none). Zmap sends all of them at once.
	Retries int
	Extra   []string      // further flags
	Bound   time.Duration // the run is interrupted after it; default 1 minute
	// Ended, where not nil, is called when the tool has ended, before its results are read: measurements
	// of the whole machine end there.
	Ended func()
}

// cooldown, in seconds, is what masscan and zmap wait for answers after their last probe instead of
// their 10 and 8: on a test network an answer takes well under a millisecond.
const cooldown = "2"

// Result is what a run found.
type Result struct {
	Command string // as typed, the path and the output file being relative
	Open    map[netip.AddrPort]bool
	// Stopped says that the run reached its bound, and that Open is what it had written by then.
	Stopped            bool
	Wall, User, System time.Duration
	PeakRSS            int64 // bytes, as of some milliseconds before the end
	// PPS is the rate of sending as the tool states it, in packets per second; 0 where it does not.
	PPS float64
	// Drops are the replies that the kernel dropped before the tool read them, as it states them; -1 where
	// it does not.
	Drops    int64
	Warnings []string // preparations that failed: the tool may do worse than it can

	output []byte // standard output and error
}

// Tool is another scanner.
type Tool struct {
	Name    string
	output  string // file that the tool writes its results to, in its own working directory
	args    func(Job) []string
	parse   func(io.Reader, Job) (map[netip.AddrPort]bool, error)
	prepare func(context.Context, Job) (undo func(), warnings []string) // may be nil
	version []string                                                    // flags that print it
	status  func(output []byte) (pps float64, drops int64)              // reads PPS and Drops; may be nil
}

// Path is where the tool is installed. The error unwraps to exec.ErrNotFound.
func (t Tool) Path() (string, error) {
	path, err := exec.LookPath(t.Name)
	if errors.Is(err, exec.ErrNotFound) {
		// Debian keeps zmap and ethtool where the PATH of users has no entry.
		if path, e := exec.LookPath(filepath.Join("/usr/sbin", t.Name)); e == nil {
			return path, nil
		}
	}
	return path, err
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+`)

// Version is the tool's version number.
func (t Tool) Version() (string, error) {
	path, err := t.Path()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, t.version...).CombinedOutput()
	v := versionNumber.Find(out)
	if v == nil { // masscan ends with 1 after it has printed its version
		return "", fmt.Errorf("version of %s: %w: %.200s", t.Name, errors.Join(err, errors.New("no number in its answer")), out)
	}
	return string(v), nil
}

// Command is the tool's command line for a job.
func (t Tool) Command(job Job) string {
	return strings.Join(append([]string{t.Name}, t.args(job)...), " ")
}

// Scan runs the tool to its end or the job's bound. It fails where the tool is not installed, ends
// with an error, or writes what cannot be read, and when ctx ends.
func (t Tool) Scan(ctx context.Context, job Job) (r Result, err error) {
	path, err := t.Path()
	if err != nil {
		return r, err
	}
	if job.Bound == 0 {
		job.Bound = time.Minute
	}
	dir, err := os.MkdirTemp("", "synoptic-peer-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	r.Command = t.Command(job)
	if t.prepare != nil {
		undo, warnings := t.prepare(ctx, job)
		defer undo()
		r.Warnings = warnings
	}
	err = run(ctx, job.Bound, dir, path, t.args(job), &r)
	if job.Ended != nil {
		job.Ended()
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", r.Command, err)
	}
	r.Drops = -1
	if t.status != nil {
		r.PPS, r.Drops = t.status(r.output)
	}
	f, err := os.Open(filepath.Join(dir, t.output))
	if errors.Is(err, os.ErrNotExist) { // nothing was found
		r.Open = map[netip.AddrPort]bool{}
		return r, nil
	}
	if err != nil {
		return r, err
	}
	defer f.Close()
	r.Open, err = t.parse(f, job)
	if err != nil && !r.Stopped { // an interrupted tool leaves half a file
		return r, fmt.Errorf("%s: read %s: %w", r.Command, t.output, err)
	}
	return r, nil
}
