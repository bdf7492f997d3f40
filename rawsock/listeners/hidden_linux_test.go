package listeners

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
)

// Whatever has a port and can be seen hides nothing: listeners of every form, connections at both ends, those that have ended, and sockets
// that are only bound.
func TestNothingHidden(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	start(t, task{Listen: []bound{
		{At: "[::]:1"}, {At: "[::]:2", V6Only: true}, {At: "127.0.0.1:3"}, {At: "[::1]:4"}, {At: "[::ffff:127.0.0.1]:5"}, {At: "0.0.0.0:6", Reuse: true},
		{At: "127.0.0.1:7", Only: true}, {At: "[::1]:8", Only: true}, {At: "0.0.0.0:9", Only: true, Reuse: true}, {At: "[::]:10", Only: true, V6Only: true},
	}})
	if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP); err == nil { // else a kernel without
		unix.Close(fd)
		start(t, task{Listen: []bound{{At: "127.0.0.1:11", MPTCP: true}, {At: "[::1]:12", MPTCP: true, Only: true}, {At: "0.0.0.0:13", MPTCP: true, Only: true}}})
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 10 {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // these go to TIME_WAIT
			s.Close()
			c.Close()
			continue
		}
		defer s.Close()
		defer c.Close()
	}
	first, last, err := rawsock.EphemeralPorts()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]uint16{{0, 100}, {first, last}} {
		ports, err := here(t).Hidden(r[0], r[1])
		if err != nil || len(ports) != 0 {
			t.Errorf("%v, %v", ports, err)
		}
	}
}

// Connections that come and go while ports are tried are no false alarm.
func TestHiddenAmongConnections(t *testing.T) {
	testnet.Apart(t)
	place := testnet.Here(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetLinger(0) // a reset: no TIME_WAIT shows the port afterwards
			c.Close()
		}
	}()
	stop, done := make(chan bool), make(chan error)
	connections := 0
	go func() {
		done <- place.Do(func() error {
			for {
				select {
				case <-stop:
					return nil
				default:
				}
				if c, err := net.Dial("tcp4", l.Addr().String()); err == nil {
					connections++
					_ = c.(*net.TCPConn).SetLinger(0)
					c.Close()
				}
			}
		})
	}()
	first, last, err := rawsock.EphemeralPorts()
	if err != nil {
		t.Fatal(err)
	}
	ports, err := here(t).Hidden(first, last)
	close(stop)
	if e := <-done; e != nil {
		t.Error(e)
	}
	if err != nil || len(ports) != 0 || connections < 100 {
		t.Errorf("%v, %v, after %d connections", ports, err, connections)
	}
}

// A rootkit that leaves sockets out of what the kernel shows, in the place of which the list is cut here, cannot give their ports away.
func TestHidden(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	start(t, task{Listen: []bound{{At: "0.0.0.0:4444"}, {At: "127.0.0.1:4445"}, {At: "[::1]:4446"}, {At: "[::]:4447", V6Only: true}, {At: "0.0.0.0:4448", Reuse: true}, {At: "0.0.0.0:4449"}}})
	p := prober{bind: bind, list: func(states uint32) ([]socket, error) {
		all, err := dump(states)
		return slices.DeleteFunc(all, func(s socket) bool { return s.port >= 4444 && s.port <= 4448 }), err
	}}
	ports, err := p.hidden(4000, 5000)
	if want := []uint16{4444, 4445, 4446, 4447, 4448}; err != nil || !slices.Equal(ports, want) {
		t.Errorf("%v, %v; want %v", ports, err, want)
	}
	var here Namespace
	if ports, err := here.Hidden(4444, 4449); err != nil || len(ports) != 0 {
		t.Errorf("with nothing left out: %v, %v", ports, err)
	}
	start(t, task{Listen: []bound{{At: "0.0.0.0:4450"}}}) // nothing of the trial is in the way of a server
}

// Where it cannot be known nothing is claimed: on a kernel that does not show bound sockets, and of ports that may not be bound.
func TestHiddenUnknown(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	old := prober{bind: bind, list: func(uint32) ([]socket, error) { return dump(tcpEvery) }}
	ports, err := old.hidden(1, 100)
	if hint, ok := errors.AsType[*Issue](err); !ok || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(hint.Hint(), "Linux 6.8") || ports != nil {
		t.Errorf("%v, %v", ports, err)
	}
	denied := prober{list: dump, bind: func(port uint16) error {
		if port < 50 {
			return unix.EACCES
		}
		return unix.EADDRINUSE
	}}
	ports, err = denied.hidden(40, 60)
	if hint, ok := errors.AsType[*Issue](err); !ok || !strings.Contains(err.Error(), "10 ports") || hint.Hint() != bindAny.hint() || len(ports) != 11 {
		t.Errorf("%v, %v", ports, err)
	}
}
