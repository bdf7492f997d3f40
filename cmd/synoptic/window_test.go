package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// windowPorts of a /16 are more positions than a megabyte holds: 17, and twice that in the gate.
func windowPorts(t testing.TB) uint16 {
	if need.Gate(t) {
		return 33
	}
	return 17
}

// A scan larger than the result map's memory: every position is settled as it leaves the window, and
// each silent one is a record once.
func TestWindowSmallerThanTheScan(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/16")
	n := network(t, testnet.Config{Gateway: true})
	if err := n.DropPrefix(prefix); err != nil {
		t.Fatal(err)
	}
	ports := windowPorts(t)
	file := filepath.Join(t.TempDir(), "out.jsonl")
	o := synoptic(t, "scan", prefix.String(), "-p", fmt.Sprintf("1-%d", ports), "--rate", "3M", "--retries", "0", "--wait", "500ms",
		"--max-memory", "1M", "--show", "filtered", "-o", file, "--lanes", "3")
	if o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := make([]bool, int(ports)<<16)
	var records int
	for lines := bufio.NewScanner(f); lines.Scan(); {
		ip, port, ok := silentRecord(t, lines.Bytes())
		if !ok {
			continue
		}
		b := ip.As4()
		i := (port-1)<<16 + int(b[2])<<8 + int(b[3])
		if !prefix.Contains(ip) || seen[i] {
			t.Fatalf("%s:%d: in the set %v, seen before %v", ip, port, prefix.Contains(ip), seen[i])
		}
		seen[i] = true
		records++
	}
	if records != len(seen) {
		t.Errorf("%d records, want %d", records, len(seen))
	}
}

// A program marks the replies while the window slides, and on the wire every position is probed once.
func TestWindowOfPrograms(t *testing.T) { eachBackend(t, windowOfPrograms, ebpf) }

func windowOfPrograms(t *testing.T, b backend) {
	prefix := netip.MustParsePrefix("10.77.0.0/16")
	n := b.network(t, testnet.Config{Gateway: true})
	ports, open := windowPorts(t), uint16(16)
	n.Listen(t, fmt.Sprintf("0.0.0.0:%d", open))
	for p := range ports {
		if p+1 != open {
			n.DropPort(p + 1)
		}
	}
	want := map[endpoint]bool{}
	for a := prefix.Addr(); prefix.Contains(a); a = a.Next() {
		want[netip.AddrPortFrom(a, open)] = true
	}
	// Where no answer comes for a while, what was sent last is probed again.
	stall.Judge(t, keepsUp, func() error {
		wire, err := n.CountSYN(testnet.Match{})
		if err != nil {
			t.Fatal(err)
		}
		o := synoptic(t, b.scan(1_000_000, prefix.String(), "-p", fmt.Sprintf("1-%d", ports), "--retries", "0", "--wait", "500ms", "--max-memory", "1M")...)
		if o.code != 0 {
			t.Fatalf("exit %d: %s", o.code, o.stderr)
		}
		s := parseStream(t, o.stdout)
		b.used(t, s)
		sameSet(t, "open", s.found(t, "open"), want)
		probed, err := wire.Value()
		if err != nil {
			t.Fatal(err)
		}
		if e := s.end; probed != uint64(ports)<<16 || e.Sent != probed || e.Silent != uint64(ports-1)<<16 || e.Coverage != 1 || e.RxDrops != 0 || e.TxErrors != 0 {
			return fmt.Errorf("%d probes on the wire of %d, scan_end %+v", probed, int(ports)<<16, e)
		}
		return nil
	})
}

// silentRecord reads the record of a silent port, of which there are millions: the JSON reader would take
// longer than the scan. ok is false for records of other types.
func silentRecord(t *testing.T, line []byte) (ip netip.Addr, port int, ok bool) {
	if !bytes.HasPrefix(line, []byte(`{"v":1,"type":"port",`)) {
		return ip, 0, false
	}
	field := func(name string) string {
		_, rest, _ := bytes.Cut(line, []byte(`"`+name+`":`))
		value, _, _ := bytes.Cut(rest, []byte(","))
		return strings.Trim(string(value), `"}`)
	}
	ip, err := netip.ParseAddr(field("ip"))
	port, err2 := strconv.Atoi(field("port"))
	if err != nil || err2 != nil || field("reason") != "no-response" || field("state") != "filtered" {
		t.Fatalf("not the record of a silent port: %s", line)
	}
	return ip, port, true
}
