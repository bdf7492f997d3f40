// Command rtt holds the round trips in the records against a tcpdump capture of the same scan.
//
//	go run ./bench/rtt
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"synoptic/bench"
)

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	program, network, teardown, err := bench.Setup()
	if err != nil {
		return err
	}
	defer teardown()
	if _, err := network.Serve("0.0.0.0:80"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "synoptic-rtt-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Println("| rate, pps | replies | median round trip, µs | error: median, µs | 99 % under, µs | largest, µs | within 100 µs or 5 % |")
	fmt.Println("|---:|---:|---:|---:|---:|---:|---:|")
	for _, c := range []struct{ rate, targets string }{{"1k", "10.77.0.0/20"}, {"200k", "10.77.0.0/16"}} {
		if err := compare(program, network.Link, dir, c.rate, c.targets); err != nil {
			return err
		}
	}
	return nil
}

// compare runs one scan under tcpdump and prints a row.
func compare(program *bench.Program, link, dir, rate, targets string) error {
	file := filepath.Join(dir, rate+".pcap")
	dump := exec.Command("tcpdump", "-i", link, "-w", file, "-s", "96", "-B", "65536", "--nano", "-Z", "root", "tcp")
	bench.DieWithParent(dump)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stderr, err := dump.StderrPipe()
	if err != nil {
		return err
	}
	if err := dump.Start(); err != nil {
		return err
	}
	if _, err := stderr.Read(make([]byte, 256)); err != nil { // "listening on …": it captures from here on
		return fmt.Errorf("tcpdump: %w", err)
	}
	r, scanErr := program.Run("scan", targets, "-p", "80,81", "--rate", rate, "--retries", "0", "--show", "open,closed")
	if err := dump.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	rest, _ := io.ReadAll(stderr)
	if err := errors.Join(scanErr, dump.Wait()); err != nil {
		return err
	}
	if !strings.Contains(string(rest), "\n0 packets dropped by kernel") {
		fmt.Printf("(tcpdump lost packets: %s)\n", strings.ReplaceAll(strings.TrimSpace(string(rest)), "\n", ", "))
	}
	wire, err := roundTrips(file)
	if err != nil {
		return err
	}
	report(rate, r, wire)
	return nil
}

// roundTrips reads a capture: the time from the first SYN to each endpoint to its answer.
func roundTrips(file string) (map[netip.AddrPort]time.Duration, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	reader, err := pcapgo.NewReader(f)
	if err != nil {
		return nil, err
	}
	sent, trips := map[netip.AddrPort]time.Time{}, map[netip.AddrPort]time.Duration{}
	for {
		data, info, err := reader.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return trips, nil
		}
		if err != nil {
			return nil, err
		}
		pkt := gopacket.NewPacket(data, reader.LinkType(), gopacket.NoCopy)
		ip, _ := pkt.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		tcp, _ := pkt.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if ip == nil || tcp == nil {
			continue
		}
		src, _ := netip.AddrFromSlice(ip.SrcIP)
		dst, _ := netip.AddrFromSlice(ip.DstIP)
		switch {
		case tcp.SYN && !tcp.ACK:
			sent[netip.AddrPortFrom(dst, uint16(tcp.DstPort))] = info.Timestamp
		case tcp.ACK && (tcp.SYN || tcp.RST):
			e := netip.AddrPortFrom(src, uint16(tcp.SrcPort))
			if at, ok := sent[e]; ok {
				trips[e] = info.Timestamp.Sub(at)
			}
		}
	}
}

func report(rate string, r bench.Run, wire map[netip.AddrPort]time.Duration) {
	var trips, errs []float64
	var good int
	for _, p := range r.Ports {
		truth, ok := wire[netip.AddrPortFrom(p.IP, p.Port)]
		if !ok || p.RTT == nil {
			continue
		}
		want := float64(truth) / float64(time.Microsecond)
		e := float64(*p.RTT) - want
		if e = max(e, -e); e <= max(100, want/20) {
			good++
		}
		trips, errs = append(trips, want), append(errs, e)
	}
	if len(errs) == 0 {
		fmt.Printf("| %s | 0 |\n", rate)
		return
	}
	slices.Sort(trips)
	slices.Sort(errs)
	fmt.Printf("| %s | %d | %.0f | %.0f | %.0f | %.0f | %.2f %% |\n", rate, len(errs), trips[len(trips)/2],
		errs[len(errs)/2], errs[len(errs)*99/100], errs[len(errs)-1], 100*float64(good)/float64(len(errs)))
}
