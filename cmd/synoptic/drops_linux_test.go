package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// A flood takes the room of replies before any program or socket sees them: what the kernel has counted of that, at either
// end of the link, is in the record, and said.
func TestFramesLostBeforeTheHook(t *testing.T) {
	eachBackendBeside(t, func(t *testing.T, b backend) {
		n := b.beside(t, testnet.Config{Gateway: true})
		n.Listen(t, "0.0.0.0:80")
		if !b.kernel {
			n.Occupy(t) // a program of somebody else's
		}
		// Addresses that are silent keep a scan at any rate waiting for longer than the flood lasts.
		if err := n.DropPrefix(netip.MustParsePrefix("10.77.1.0/28")); err != nil {
			t.Fatal(err)
		}
		stall.Judge(t, playsHere, func() error {
			cmd := exec.Command(program(t), b.scan(150, "10.77.0.0/24", "10.77.1.0/28", "-p", "80")...)
			var stdout, stderr lockedBuffer
			var lost uint64
			var over time.Time
			var begun sync.Once
			var flood sync.WaitGroup
			cmd.Stderr = &stderr
			cmd.Stdout = writerFunc(func(p []byte) (int, error) {
				if bytes.Contains(p, []byte(`"type":"port"`)) {
					begun.Do(func() { flood.Go(func() { lost, over = n.Overflow(t, 5), time.Now() }) })
				}
				return stdout.Write(p)
			})
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%w: %s", err, stderr.String())
			}
			flood.Wait()
			s := parseStream(t, stdout.String())
			if s.end.TS.Before(over) {
				return stall.Void(fmt.Errorf("the scan was over %v before the flood", over.Sub(s.end.TS)))
			}
			if lost < 1000 || s.end.Open < 200 {
				return fmt.Errorf("%d frames were lost, %d ports found", lost, s.end.Open)
			}
			if s.end.IfaceDrops < lost { // other frames may have been lost besides, of neighbours that are asked for
				return fmt.Errorf("iface_drops %d, and %d frames were lost", s.end.IfaceDrops, lost)
			}
			if s.end.IfaceDrops > lost+50 {
				t.Errorf("iface_drops %d, and %d frames were lost", s.end.IfaceDrops, lost)
			}
			if want := fmt.Sprintf("the interfaces lost %d,%03d frames before they could be read", s.end.IfaceDrops/1000, s.end.IfaceDrops%1000); !strings.Contains(stderr.String(), want) {
				t.Errorf("stderr lacks %q: %s", want, stderr.String())
			}
			return nil
		})
	}, afpacket, xdp, ebpf)
}
