package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"time"

	"synoptic/bench/lab/testnet"
)

// offloads by ethtool(8)'s names, short as it takes them and long as it reports them.
var offloads = []struct{ short, long string }{
	{"gro", "generic-receive-offload"},
	{"gso", "generic-segmentation-offload"},
	{"tso", "tcp-segmentation-offload"},
}

// offloadsOff turns off what merges packets on an interface, and returns what turns it on again.
func offloadsOff(ctx context.Context, link string) (restore func(), err error) {
	restore = func() {}
	path, err := Tool{Name: "ethtool"}.Path()
	if err != nil {
		return restore, err
	}
	out, err := exec.CommandContext(ctx, path, "-k", link).Output()
	if err != nil {
		return restore, fmt.Errorf("ethtool -k %s: %w", link, err)
	}
	off, on := []string{"-K", link}, []string{"-K", link}
	for _, o := range offloads {
		if strings.Contains("\n"+string(out), "\n"+o.long+": on") {
			off, on = append(off, o.short, "off"), append(on, o.short, "on")
		}
	}
	if len(off) == 2 {
		return restore, nil
	}
	if out, err := exec.CommandContext(ctx, path, off...).CombinedOutput(); err != nil {
		return restore, fmt.Errorf("ethtool %s: %w: %s", strings.Join(off, " "), err, out)
	}
	return func() {
		// Also after ctx has ended.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = exec.CommandContext(ctx, path, on...).Run() // the link may be gone
	}, nil
}

// trickle lets the far end send a datagram every 50 ms until stop: masscan's receiver looks at its
// end only after a packet, and on a quiet link it waits for ever. No packet goes towards the targets.
func trickle(n *testnet.Network) (stop func(), err error) {
	stop = func() {}
	// The receiver keeps the kernel from answering with ICMP errors. It is never read: what does not
	// fit into its buffer is dropped.
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: n.Source.AsSlice()})
	if err != nil {
		return stop, err
	}
	var source net.Conn
	err = n.Do(func() error {
		source, err = net.Dial("udp4", sink.LocalAddr().String())
		return err
	})
	if err != nil {
		return stop, errors.Join(err, sink.Close())
	}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				_, _ = source.Write([]byte{0}) // lost where the network is lossy
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
		source.Close()
		sink.Close()
	}, nil
}
