package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"synoptic/results"
	"synoptic/results/sink"
	"synoptic/results/sink/format"
)

// formatRate is how fast a format writes records to a file.
type formatRate struct {
	name      string
	perSecond float64 // records, the median of the runs
	bytes     float64 // for a record
}

// measureFormats writes port records by every format, on one processor.
func measureFormats(dir string, records, runs int) (all []formatRate, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, name := range format.Names() {
		r := formatRate{name: name}
		var rates []float64
		for range runs {
			file := filepath.Join(dir, name)
			took, err := writeRecords(name+":"+file, dir, records)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			info, err := os.Stat(file)
			if err != nil {
				return nil, err
			}
			r.bytes = float64(info.Size()) / float64(records)
			rates = append(rates, float64(records)/took.Seconds())
			if err := os.Remove(file); err != nil {
				return nil, err
			}
		}
		r.perSecond = median(rates)
		all = append(all, r)
	}
	return all, nil
}

// batchLen is that of the scanner's own batches.
const batchLen = 256

// writeRecords times one output from its first record until all is in its file and on its disk.
func writeRecords(spec, dir string, records int) (time.Duration, error) {
	runtime.GC() // of the run before
	begun := time.Now()
	out, err := sink.Open(spec, sink.Config{Format: format.Options{Hostname: "scanner", TempDir: dir}})
	if err != nil {
		return 0, err
	}
	err = feed(out, begun, records)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return time.Since(begun), err
}

func feed(out results.Sink, begun time.Time, records int) error {
	scanID := "0123456789abcdef0123456789abcdef"
	if err := out.Start(&results.ScanStart{
		Time: results.Time(begun), ScanID: scanID, Version: "0", Args: []string{"scan"}, Targets: uint64(records), Ports: 1, Probes: uint64(records),
		Rate: "1000000", Backend: "afpacket", Iface: "eth0", Source: "10.0.0.1",
	}); err != nil {
		return err
	}
	batch := make([]results.Port, batchLen)
	for i := range batch {
		batch[i] = template()
	}
	for at := 0; at < records; at += batchLen {
		n := min(batchLen, records-at)
		for i := range n {
			vary(&batch[i], begun.UnixNano(), uint32(at+i))
		}
		if err := out.Ports(batch[:n]); err != nil {
			return err
		}
	}
	return out.End(&results.ScanEnd{Time: results.Time(time.Now()), ScanID: scanID, Probes: uint64(records), Open: uint64(records), Coverage: 1, Complete: true})
}

// template is an ordinary record of an open port, and its frame.
func template() results.Port {
	return results.Port{
		Reason: results.SYNACK, Service: "https", TTL: 61, HasRTT: true, Attempt: 1, Window: 64240, MSS: 1460,
		Source: netip.AddrFrom4([4]byte{10, 0, 0, 1}), SourcePort: 61000, Iface: "eth0", Frame: make([]byte, 60), FrameLen: 60,
	}
}

// vary makes it that of the i-th reply: four ports on each host, in an order without a pattern, none twice.
func vary(p *results.Port, began int64, i uint32) {
	const odd = 0x9e3779b1 // times it, modulo 2^26, is a bijection
	k := i * odd % (1 << 26)
	host := k >> 2
	p.Addr = netip.AddrFrom4([4]byte{10, byte(host >> 16), byte(host >> 8), byte(host)})
	p.Port = [4]uint16{22, 80, 443, 8443}[k&3]
	p.Time = began + int64(i)*1000
	p.RTT = time.Duration(k) * time.Nanosecond
}

func writeFormats(w io.Writer, records int, all []formatRate) {
	fmt.Fprintf(w, "%d records of open ports to a file, on one core:\n\n", records)
	fmt.Fprintln(w, "| format | records/s | bytes for a record |")
	fmt.Fprintln(w, "|---|---:|---:|")
	for _, r := range all {
		fmt.Fprintf(w, "| %s | %.0f | %.0f |\n", r.name, r.perSecond, r.bytes)
	}
	fmt.Fprintln(w)
}

// median of some numbers, at least one.
func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
