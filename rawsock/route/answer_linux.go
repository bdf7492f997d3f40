package route

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"synoptic/rawsock"
	"synoptic/results/crash"
)

func answerFor(ctx context.Context, link Link, addr netip.Addr) error {
	if link.Framing != rawsock.Ethernet || len(link.HardwareAddr) != 6 || !addr.Is4() {
		return fmt.Errorf("answer ARP for %v on %s: want IPv4 on Ethernet", addr, link.Name)
	}
	b := addr.As4()
	a := &answerer{mac: [6]byte(link.HardwareAddr), addr: binary.BigEndian.Uint32(b[:])}
	s, err := newARPSocket(link, requestFilter(a.addr))
	if err != nil {
		return fmt.Errorf("answer ARP for %v on %s: %w", addr, link.Name, err)
	}
	file := os.NewFile(uintptr(s.fd), "answer") // non-blocking: its reader sleeps in the runtime's poller
	stop := context.AfterFunc(ctx, crash.Guarded(func() { file.Close() }))
	crash.Go(func() {
		defer stop()
		for b := make([]byte, 128); ; {
			n, err := file.Read(b)
			switch {
			case ctx.Err() != nil, errors.Is(err, os.ErrClosed):
				return
			case err != nil: // the interface went down, which is said once; it may come up again
			default:
				if reply := a.to(b[:n], time.Now()); reply != nil {
					_, _ = file.Write(reply) // who gets no answer asks again
				}
			}
		}
	})
	return nil
}
