package main

import (
	"bufio"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"synoptic/bench/lab/testnet"
)

// An output that breaks ends the scan with an error, told once; the others get every record up to
// then, and the end with the reason.
func TestBrokenOutput(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/16")
	n := beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	dir := t.TempDir()
	for _, backend := range []string{"afpacket", "connect"} {
		// A named pipe whose reader goes away after the first line.
		pipe, healthy := filepath.Join(dir, backend+".pipe"), filepath.Join(dir, backend+".jsonl")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		go func() {
			f, err := os.Open(pipe)
			if err != nil {
				t.Error(err)
				return
			}
			bufio.NewScanner(f).Scan()
			f.Close()
		}()
		o := synoptic(t, "scan", prefix.String(), "-p", "80", "--rate", "2k", "--backend", backend, "-o", pipe, "-o", healthy)
		if o.code != 1 || strings.Count(o.stderr, "broken pipe") != 1 || strings.Count(o.warned(), "\n") != 1 || !strings.HasPrefix(o.warned(), "synoptic: write records: ") {
			t.Errorf("%s: exit %d, stderr %q", backend, o.code, o.stderr)
		}
		data, err := os.ReadFile(healthy)
		if err != nil {
			t.Fatal(err)
		}
		s := parseStream(t, string(data))
		if s.end.Complete || !strings.Contains(s.end.Error, "broken pipe") || s.end.Open == 0 || uint64(len(s.ports)) != s.end.Open {
			t.Errorf("%s: the healthy output has %d records, scan_end %+v", backend, len(s.ports), s.end)
		}
	}
}

// So it is where the very first write fails: nothing is probed.
func TestFullOutput(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip(err)
	}
	healthy := filepath.Join(t.TempDir(), "out.jsonl")
	o := synoptic(t, "scan", "127.0.0.1", "-p", "-", "-o", full, "-o", healthy)
	if o.code != 1 || strings.Count(o.stderr, "no space left on device") != 1 {
		t.Errorf("exit %d, stderr %q", o.code, o.stderr)
	}
	data, err := os.ReadFile(healthy)
	if err != nil {
		t.Fatal(err)
	}
	if s := parseStream(t, string(data)); s.end.Complete || s.end.Sent != 0 || !strings.Contains(s.end.Error, "no space left on device") {
		t.Errorf("the healthy output has %d records, scan_end %+v", len(s.ports), s.end)
	}
}
