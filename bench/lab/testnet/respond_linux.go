package testnet

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"
)

// Responder plays targets in user space: it reads the probes that reach the target's end of the link
// and sends whatever frames its owner makes of them, true, forged or broken. For addresses that
// Config.Alive leaves out, behind a gateway, the target's kernel says nothing besides.
type Responder struct {
	file *os.File
	done chan struct{}
	once sync.Once
	err  error
}

const (
	ethPIPv4 = 0x0800
	// Room for some 10,000 probes that come while an answer is made.
	responderBuffer = 16 << 20
	// A full queue of the link is the receiving CPU's affair: it empties within microseconds.
	sendPatience = 5 * time.Second
)

// synFilter passes what a probe is: IPv4 without options, TCP, SYN alone of SYN, ACK, RST and FIN.
var synFilter = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 14, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x45, SkipTrue: 6},
	bpf.LoadAbsolute{Off: 23, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolTCP, SkipTrue: 4},
	bpf.LoadAbsolute{Off: 14 + 20 + 13, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x17},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x02, SkipTrue: 1},
	bpf.RetConstant{Val: 0xffff},
	bpf.RetConstant{Val: 0},
}

// Respond starts a responder; when it returns, the next SYN is seen. answer gets the probes one
// after the other, as frames from the Ethernet header on, valid until it returns; it may take its
// time, for the probes that come meanwhile wait. The test's end stops the responder, and probes
// that did not fit into its buffer fail the test.
func (n *Network) Respond(t testing.TB, answer func(r *Responder, probe []byte)) *Responder {
	t.Helper()
	r := &Responder{done: make(chan struct{})}
	if err := n.Do(func() error { return r.open(n) }); err != nil {
		t.Fatalf("respond on %s: %v", n.PeerLink, err)
	}
	go func() {
		defer close(r.done)
		buf := make([]byte, 2048)
		for {
			k, err := r.file.Read(buf)
			if err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, syscall.ENETDOWN) {
					t.Errorf("read probes on %s: %v", n.PeerLink, err)
				}
				return
			}
			answer(r, buf[:k])
		}
	}()
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *Responder) open(n *Network) (err error) {
	peer, err := n.target.LinkByName(n.PeerLink)
	if err != nil {
		return err
	}
	// Protocol 0 receives nothing until bind names one, and IPv4 alone shows no frame of our own.
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			syscall.Close(fd)
		}
	}()
	if err := attach(fd, synFilter); err != nil {
		return err
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, responderBuffer); err != nil {
		return os.NewSyscallError("setsockopt SO_RCVBUFFORCE", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: hton16(ethPIPv4), Ifindex: peer.Attrs().Index}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	r.file = os.NewFile(uintptr(fd), "responder")
	return nil
}

// Send puts frames on the link as they are, in order, from any goroutine. Each has an Ethernet
// header at least; checksums and lengths are the caller's.
func (r *Responder) Send(frames ...[]byte) error {
	for _, f := range frames {
		if err := r.send(f); err != nil {
			return fmt.Errorf("send a frame of %d bytes: %w", len(f), err)
		}
	}
	return nil
}

func (r *Responder) send(frame []byte) error {
	var end time.Time
	for {
		_, err := r.file.Write(frame)
		if !errors.Is(err, syscall.ENOBUFS) {
			return err
		}
		switch now := time.Now(); {
		case end.IsZero():
			end = now.Add(sendPatience)
		case now.After(end):
			return err
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// Close stops the responder after the answer that is being made. The error says how many probes
// were lost for want of room. Closing twice is harmless.
func (r *Responder) Close() error {
	r.once.Do(func() {
		errs := []error{r.file.SetReadDeadline(time.Now())}
		<-r.done
		conn, err := r.file.SyscallConn()
		if err == nil {
			err = conn.Control(func(fd uintptr) {
				_, lost, err := statistics(int(fd))
				if lost > 0 {
					err = fmt.Errorf("responder lost %d probes", lost)
				}
				errs = append(errs, err)
			})
		}
		r.err = errors.Join(append(errs, err, r.file.Close())...)
	})
	return r.err
}
