package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/results/sink/batch"
)

// manyEnv asks the test binary, run again, to encode that many open ports: the memory of a process of
// its own can be measured.
const manyEnv = "SYNOPTIC_TEST_ENCODE_MANY"

// manyResult is what the child says.
type manyResult struct {
	Hosts, Ports int
	Ascending    bool  // every address is larger than the one before: none comes twice
	Peak         int64 // VmHWM, bytes
	Seconds      float64
	Spilled      bool
}

// portsPerHost open ports has every host, on average, in the tests with many.
const portsPerHost = 4

// TestEncodeManyChild does nothing unless it is the child.
func TestEncodeManyChild(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(manyEnv))
	if err != nil {
		t.Skip("only as a child of another test")
	}
	begun := time.Now()
	r := manyResult{Ascending: true}
	var last netip.Addr
	w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) {
		r.Ports += bytes.Count(b.Data, []byte("<port "))
		for rest := b.Data; ; {
			_, after, found := bytes.Cut(rest, []byte(`<address addr="`))
			if !found {
				break
			}
			text, after, _ := bytes.Cut(after, []byte{'"'})
			addr, err := netip.ParseAddr(string(text))
			if err != nil {
				return nil, err
			}
			r.Ascending = r.Ascending && last.Less(addr)
			last, rest = addr, after
		}
		r.Hosts += bytes.Count(b.Data, []byte("<host "))
		b.Reset()
		return b, nil
	})
	x := newNmapXML(w, Options{TempDir: t.TempDir()}).(*nmapXML)
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(x.Start(&testStart))
	batch := make([]results.Port, 0, 256)
	for i := range n {
		// A multiplier prime to n visits every number once, and neighbours far apart.
		k := int(uint64(i) * 618_033_989 % uint64(n))
		host := uint32(k / portsPerHost)
		batch = append(batch, results.Port{
			Time: 1.7e18 + int64(i), Addr: netip.AddrFrom4([4]byte{10 + byte(host>>24), byte(host >> 16), byte(host >> 8), byte(host)}), Port: uint16(80 + k%portsPerHost),
			Reason: results.SYNACK, TTL: 64, RTT: 213_000, HasRTT: true, Attempt: 1, Service: "http", Window: 64240, MSS: 1460,
			Source: netip.MustParseAddr("10.9.9.9"), SourcePort: 61000, Iface: "eth0",
		})
		if len(batch) == cap(batch) || i == n-1 {
			check(x.Ports(batch))
			batch = batch[:0]
		}
	}
	r.Spilled = len(x.sort.runs) > 0
	check(x.End(&testEnd))
	check(w.Flush())
	check(x.Close())
	r.Seconds = time.Since(begun).Seconds()
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	_, line, _ := bytes.Cut(status, []byte("VmHWM:"))
	_, err = fmt.Sscanf(string(line), "%d kB", &r.Peak)
	check(err)
	r.Peak <<= 10
	check(json.NewEncoder(os.Stderr).Encode(r))
}

func encodeMany(t testing.TB, n int) (r manyResult) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestEncodeManyChild$")
	cmd.Env = append(os.Environ(), manyEnv+"="+strconv.Itoa(n))
	var out, report bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &report
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s%s", err, &out, &report)
	}
	if err := json.Unmarshal(report.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s%s", err, &out, &report)
	}
	if r.Ports != n || r.Hosts != n/portsPerHost || !r.Ascending || !r.Spilled {
		t.Errorf("%d open ports on %d hosts: %+v", n, n/portsPerHost, r)
	}
	if r.Peak > manyMemory {
		t.Errorf("%d MiB of memory, above %d MiB", r.Peak>>20, manyMemory>>20)
	}
	return r
}

// manyMemory is what the encoding of any number of ports may take.
const manyMemory = 256 << 20

// A million open ports in any order: one element for each host, in bounded memory.
func TestNmapXMLOfAMillionPorts(t *testing.T) {
	need.Long(t)
	n := 1_000_000
	if need.RaceEnabled {
		t.Skip("the race detector's memory is not ours")
	}
	r := encodeMany(t, n)
	t.Logf("%.1f s, peak %d MiB", r.Seconds, r.Peak>>20)
}

// Ten million take no more memory than one.
func BenchmarkNmapXMLOfTenMillionPorts(b *testing.B) {
	for b.Loop() {
		r := encodeMany(b, 10_000_000)
		b.ReportMetric(r.Seconds, "s")
		b.ReportMetric(float64(r.Peak>>20), "MiB-peak")
	}
}
