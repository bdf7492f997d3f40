package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"synoptic/bench/lab/testnet"
)

// An output that breaks is told of once, at once; the others get everything, and say in the end what it lacks.
func TestBrokenOutput(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/20")
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
		o := synoptic(t, "scan", prefix.String(), "-p", "80", "--rate", "4k", "--backend", backend, "-o", pipe, "-o", healthy)
		if o.code != 1 || strings.Count(o.stderr, "broken pipe") != 1 || strings.Count(o.warned(), "\n") != 2 || !strings.HasPrefix(o.warned(), fmt.Sprintf("synoptic: output %q failed: write records: ", pipe)) {
			t.Errorf("%s: exit %d, stderr %q", backend, o.code, o.stderr)
		}
		data, err := os.ReadFile(healthy)
		if err != nil {
			t.Fatal(err)
		}
		s := parseStream(t, string(data))
		if !s.end.Complete || s.end.Error != "" || s.end.Open < 1000 || uint64(len(s.ports)) != s.end.Open {
			t.Errorf("%s: the healthy output has %d records, scan_end %+v", backend, len(s.ports), s.end)
		}
		d := reported(t, string(data))
		if len(d) != 2 || d[0].Lost == 0 || d[0].Delivered+d[0].Lost != d[1].Delivered || !strings.Contains(d[0].Error, "broken pipe") || d[1].Delivered < s.end.Open+2 {
			t.Errorf("%s: counts %+v", backend, d)
		}
	}
}

// So it is where the very first write fails.
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
	if s := parseStream(t, string(data)); !s.end.Complete || s.end.Error != "" || s.delivery.Type == "" {
		t.Errorf("the healthy output has %d records, scan_end %+v", len(s.ports), s.end)
	}
	// With nobody else the scan ends with it.
	if o := synoptic(t, "scan", "127.0.0.1", "-p", "-", "-o", full); o.code != 1 || strings.Count(o.stderr, "no space left on device") != 1 {
		t.Errorf("alone: exit %d, stderr %q", o.code, o.stderr)
	}
}
