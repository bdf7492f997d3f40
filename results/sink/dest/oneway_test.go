package dest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/results/sink/format"
)

// collector is a receiver in the process: what each connection does is the test's.
type collector struct {
	t   *testing.T
	all sync.WaitGroup // a goroutine for each connection

	mu    sync.Mutex
	conns [][]string // the events that each connection brought, in order
	open  []net.Conn
}

// collect listens; play gets the connections in the order they came.
func collect(t *testing.T, l net.Listener, play func(c *collector, i int, conn net.Conn)) *collector {
	t.Helper()
	c := &collector{t: t}
	c.all.Go(func() {
		for i := 0; ; i++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns, c.open = append(c.conns, nil), append(c.open, conn)
			c.mu.Unlock()
			c.all.Go(func() {
				defer conn.Close()
				play(c, i, conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		c.mu.Lock()
		for _, conn := range c.open {
			conn.Close()
		}
		c.mu.Unlock()
		c.all.Wait()
	})
	return c
}

func listenTCP(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// read takes n events, or all up to the end of the connection if n is negative.
func (c *collector) read(i int, r io.Reader, n int) {
	b := bufio.NewReader(r)
	for ; n != 0; n-- {
		event, err := readFrame(b)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			if !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
				c.t.Errorf("connection %d: %v", i, err)
			}
			return
		}
		c.mu.Lock()
		c.conns[i] = append(c.conns[i], event)
		c.mu.Unlock()
	}
}

// readFrame takes one octet-counted RFC 5424 message apart, strictly, and gives its MSG; or one line.
func readFrame(r *bufio.Reader) (string, error) {
	if first, err := r.Peek(1); err != nil {
		return "", err
	} else if first[0] == '{' {
		line, err := r.ReadString('\n')
		return strings.TrimSuffix(line, "\n"), err
	}
	digits, err := r.ReadString(' ')
	if err != nil {
		return "", fmt.Errorf("count %q: %w", digits, err)
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 16)
	if err != nil || digits[0] == '0' {
		return "", fmt.Errorf("not a count: %q", digits)
	}
	message := make([]byte, n)
	if _, err := io.ReadFull(r, message); err != nil {
		return "", err
	}
	fields := strings.SplitN(string(message), " ", 8)
	if len(fields) != 8 || !strings.HasPrefix(fields[0], "<134>1") || fields[6] != "-" {
		return "", fmt.Errorf("not RFC 5424: %q", message)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000000Z", fields[1]); err != nil {
		return "", err
	}
	return fields[7], nil
}

// got gives what each connection brought.
func (c *collector) got() [][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([][]string, len(c.conns))
	for i := range all {
		all[i] = append([]string(nil), c.conns[i]...)
	}
	return all
}

// wait waits until f is true of what has come.
func (c *collector) wait(what string, f func(got [][]string) bool) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(c.got()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited in vain for %s; connections brought %d", what, counts(c.got()))
		}
	}
}

func counts(got [][]string) (n []int) {
	for _, g := range got {
		n = append(n, len(g))
	}
	return n
}

// batches gives n batches of 10 events, numbered, each event some size bytes.
func batches(n, size int) (all []*format.Batch) {
	pad := strings.Repeat("x", size)
	for i := range n {
		b := &format.Batch{}
		for j := range 10 {
			b.Data = fmt.Appendf(b.Data, `{"n":%d,"pad":"%s"}`+"\n", 10*i+j, pad)
			b.Events = append(b.Events, format.Event{End: len(b.Data), Time: 1763806333123456789, Records: 1})
		}
		all = append(all, b)
	}
	return all
}

// numbers are the events' numbers.
func numbers(t *testing.T, events []string) (all []int) {
	t.Helper()
	for _, e := range events {
		n, err := strconv.Atoi(strings.TrimPrefix(e[:strings.IndexByte(e, ',')], `{"n":`))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// exactlyOnce checks that the connections together brought 0 to n-1, in order.
func exactlyOnce(t *testing.T, got [][]string, n int) {
	t.Helper()
	var all []int
	for _, g := range got {
		all = append(all, numbers(t, g)...)
	}
	for i, k := range all {
		if i != k {
			t.Fatalf("event %d stands at place %d of %v", k, i, counts(got))
		}
	}
	if len(all) != n {
		t.Errorf("%d events came, want %d", len(all), n)
	}
}

// atLeastOnce checks that every event came on some connection.
func atLeastOnce(t *testing.T, got [][]string, n int) {
	t.Helper()
	seen := make([]bool, n)
	for _, g := range got {
		for _, k := range numbers(t, g) {
			seen[k] = true
		}
	}
	for k, ok := range seen {
		if !ok {
			t.Errorf("event %d is lost; connections brought %v", k, counts(got))
			return
		}
	}
}

// openOneWay opens a destination and sets its bounds for the test.
func openOneWay(t *testing.T, to string, o Options, rotate int) *oneWay {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	d, err := schemes[u.Scheme](u, o)
	if err != nil {
		t.Fatal(err)
	}
	s := d.(*oneWay)
	s.rotate = rotate
	t.Cleanup(func() { s.Close() })
	return s
}

// insist calls f as an output does, until it has no error, and adds up what was sent again.
func insist(t *testing.T, f func() (Outcome, error)) (resent uint64, errs []error) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		o, err := f()
		resent += o.Resent
		if err == nil {
			return resent, errs
		}
		if IsPermanent(err) {
			t.Fatalf("permanent: %v", err)
		}
		if errs = append(errs, err); time.Now().After(deadline) {
			t.Fatalf("not taken: %v", err)
		}
	}
}

func deliverAll(t *testing.T, s *oneWay, all []*format.Batch) (resent uint64, errs []error) {
	t.Helper()
	for _, b := range all {
		r, e := insist(t, func() (Outcome, error) { return s.Deliver(context.Background(), b) })
		resent, errs = resent+r, append(errs, e...)
	}
	return resent, errs
}

func synced(t *testing.T, s *oneWay) uint64 {
	t.Helper()
	r, _ := insist(t, func() (Outcome, error) { return s.Sync(context.Background()) })
	return r
}

// readAll is a receiver as it should be.
func readAll(c *collector, i int, conn net.Conn) { c.read(i, conn, -1) }

// needConfirm skips where no receiver can confirm.
func needConfirm(t *testing.T) {
	t.Helper()
	if !canConfirm {
		t.Skipf("on %s nothing is confirmed", runtime.GOOS)
	}
}

// kinds are the plain destinations.
var kinds = []struct {
	name string
	open func(t *testing.T) (net.Listener, string)
}{
	{"tcp", func(t *testing.T) (net.Listener, string) {
		l := listenTCP(t, "127.0.0.1:0")
		return l, "syslog+tcp://" + l.Addr().String()
	}},
	{"unix", func(t *testing.T) (net.Listener, string) {
		path := filepath.Join(shortDir(t), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		return l, "unix:" + filepath.ToSlash(path)
	}},
}

// shortDir is a folder whose name is short enough for a socket in it (struct sockaddr_un: 108 bytes).
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// A receiver that closes behind our end confirms: nothing is sent twice, and nothing stays in memory.
func TestConfirmed(t *testing.T) {
	needConfirm(t)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			l, to := k.open(t)
			c := collect(t, l, readAll)
			s := openOneWay(t, to, Options{}, 10_000)
			resent, errs := deliverAll(t, s, batches(50, 100)) // some 1 KB each
			if len(errs) > 0 || resent != 0 {
				t.Errorf("%d sent again, errors %v", resent, errs)
			}
			if s.size > 12_000 {
				t.Errorf("%d bytes are unconfirmed", s.size)
			}
			if synced(t, s); s.size != 0 || len(s.history) != 0 {
				t.Errorf("%d bytes are unconfirmed at the end", s.size)
			}
			exactlyOnce(t, c.got(), 500)
			if n := len(c.got()); n < 5 {
				t.Errorf("%d connections: there was no confirmation on the way", n)
			}
		})
	}
}

// What a broken connection may have lost comes again on the next one, before anything else.
func TestBroken(t *testing.T) {
	for _, k := range kinds {
		for _, how := range []string{"reset", "end of file", "unread"} {
			t.Run(k.name+" "+how, func(t *testing.T) {
				l, to := k.open(t)
				sent := make(chan struct{})
				c := collect(t, l, func(c *collector, i int, conn net.Conn) {
					if i > 0 {
						c.read(i, conn, -1)
						return
					}
					<-sent
					switch how {
					case "reset":
						c.read(i, conn, 45)
						if tcp, ok := conn.(*net.TCPConn); ok {
							tcp.SetLinger(0)
						}
					case "end of file": // all is read that has been sent
						c.read(i, conn, 50)
					case "unread": // the receiver is killed with bytes in its buffer
						conn.Read(make([]byte, 10))
					}
				})
				s := openOneWay(t, to, Options{}, 1<<20)
				all := batches(20, 100)
				first, _ := deliverAll(t, s, all[:5])
				close(sent)
				<-s.conn.gone
				second, errs := deliverAll(t, s, all[5:])
				if len(errs) == 0 {
					t.Error("nobody was told")
				}
				if first += second + synced(t, s); first != 50 {
					t.Errorf("%d records were sent again, want 50", first)
				}
				c.wait("all on the second connection", func(got [][]string) bool { return len(got) > 1 && len(got[1]) == 200 })
				exactlyOnce(t, c.got()[1:2], 200)
			})
		}
	}
}

// An end of file is no confirmation if the receiver had closed before our last bytes came: theirs and ours cross.
func TestCrossingEnds(t *testing.T) {
	needConfirm(t)
	for _, k := range kinds[:1] { // a Unix socket's peer closes for both at once
		for _, late := range []bool{true, false} {
			l, to := k.open(t)
			closed := make(chan struct{})
			collect(t, l, func(c *collector, i int, conn net.Conn) {
				if i == 0 {
					conn.Close()
					close(closed)
				}
			})
			c := openOneWay(t, to, Options{}, 1<<20).conn
			<-closed
			<-c.gone
			if late {
				if _, err := c.stream.Write([]byte("late")); err != nil {
					t.Fatal(err)
				}
			}
			c.socket.CloseWrite() // may find the connection reset already
			c.finishing = true
			err := c.finish(context.Background(), 20*time.Second, 20*time.Second)
			if late != (err != nil) || errors.Is(err, errSilent) || errors.Is(err, errStalled) {
				t.Errorf("bytes after the receiver's end %v: finish gives %v", late, err)
			}
		}
	}
}

// A receiver that ended its side before ours has confirmed nothing.
func TestEndedFirst(t *testing.T) {
	l, to := kinds[0].open(t)
	hold := make(chan struct{})
	defer close(hold)
	collect(t, l, func(c *collector, i int, conn net.Conn) {
		conn.(*net.TCPConn).CloseWrite()
		<-hold
	})
	c := openOneWay(t, to, Options{}, 1<<20).conn
	<-c.gone
	if err := c.finish(context.Background(), time.Second, time.Second); err == nil || errors.Is(err, errSilent) {
		t.Errorf("finish gives %v", err)
	}
}

// A receiver that closes, but takes no new connection, was killed: perhaps with what it had read in memory.
func TestKilledAtConfirmation(t *testing.T) {
	needConfirm(t)
	l := listenTCP(t, "127.0.0.1:0")
	addr := l.Addr().String()
	first := collect(t, l, readAll)
	s := openOneWay(t, "syslog+tcp://"+addr, Options{}, 1<<20)
	deliverAll(t, s, batches(3, 10))
	l.Close()
	if _, err := s.Sync(context.Background()); err == nil || IsPermanent(err) {
		t.Fatalf("Sync gives %v", err)
	}
	exactlyOnce(t, first.got(), 30)
	again := collect(t, listenTCP(t, addr), readAll)
	if resent := synced(t, s); resent != 30 {
		t.Errorf("%d records were sent again, want 30", resent)
	}
	exactlyOnce(t, again.got(), 30)
}

// A receiver that never closes its side is asked once; then the last bytes are kept for a break.
func TestNeverClosing(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			l, to := k.open(t)
			hold, break1 := make(chan struct{}), make(chan struct{})
			c := collect(t, l, func(c *collector, i int, conn net.Conn) {
				c.all.Go(func() {
					if i == 1 {
						<-break1
						conn.Close()
					}
				})
				c.read(i, conn, -1)
				if i != 1 {
					<-hold
				}
			})
			t.Cleanup(func() { close(hold) }) // before the collector's own, which waits
			s := openOneWay(t, to, Options{}, 10_000)
			s.patience, s.keep = 30*time.Millisecond, 30_000
			if !canConfirm { // there the first connection is not ended
				s.endless = false
			}
			all := batches(100, 200) // some 2 KB each
			resent, errs := deliverAll(t, s, all[:80])
			if resent != 0 || len(errs) > 0 {
				t.Errorf("%d sent again, errors %v", resent, errs)
			}
			if !s.endless || s.size < 30_000 || s.size > 36_000 {
				t.Errorf("endless %v, %d bytes in the history, want some 30,000", s.endless, s.size)
			}
			c.wait("800 events on two connections", func(got [][]string) bool { return len(got) == 2 && len(got[0])+len(got[1]) == 800 })
			exactlyOnce(t, c.got(), 800)
			kept, least := uint64(len(s.history)*10), uint64(30_000*len(s.history)*10/s.size)
			close(break1)
			<-s.conn.gone
			if resent, _ = deliverAll(t, s, all[80:]); resent < least || resent > kept {
				t.Errorf("%d sent again, want %d to %d", resent, least, kept)
			}
			synced(t, s)
			c.wait("the rest", func(got [][]string) bool { return len(got) > 2 && len(got[2]) == int(resent)+200 })
			atLeastOnce(t, c.got(), 1000)
		})
	}
}

// A receiver that was stopped for longer than it is waited for closes late, and is believed then.
func TestLateConfirmation(t *testing.T) {
	needConfirm(t)
	l := listenTCP(t, "127.0.0.1:0")
	stopped := make(chan struct{})
	c := collect(t, l, func(c *collector, i int, conn net.Conn) {
		if i == 0 {
			<-stopped
		}
		c.read(i, conn, -1)
	})
	s := openOneWay(t, "syslog+tcp://"+l.Addr().String(), Options{}, 10_000)
	s.patience = 30 * time.Millisecond
	all := batches(60, 100)
	deliverAll(t, s, all[:20])
	if s.left == nil || !s.endless {
		t.Fatal("the receiver was waited for: the test lost its reach")
	}
	close(stopped)
	<-s.left.gone
	s.patience = patience
	rest := len(s.history) - s.leftChunks
	s.rotate = 1 << 30 // what is dropped now, the late end has confirmed
	resent, _ := deliverAll(t, s, all[20:21])
	if len(s.history) > rest+1 {
		t.Errorf("%d batches are kept, want at most %d", len(s.history), rest+1)
	}
	s.rotate = 10_000
	again, _ := deliverAll(t, s, all[21:])
	resent += again
	resent += synced(t, s)
	if resent != 0 || !s.confirms || s.endless || s.size != 0 || s.left != nil {
		t.Errorf("%d sent again, confirms %v, endless %v, %d bytes unconfirmed", resent, s.confirms, s.endless, s.size)
	}
	atLeastOnce(t, c.got(), 600)
	total := 0
	for _, n := range counts(c.got()) {
		total += n
	}
	if total != 600 {
		t.Errorf("%d events came, want 600", total)
	}
}

// A receiver that has confirmed once is waited for, however long it takes.
func TestSlowConfirmation(t *testing.T) {
	needConfirm(t)
	l := listenTCP(t, "127.0.0.1:0")
	stopped := make(chan struct{})
	c := collect(t, l, func(c *collector, i int, conn net.Conn) {
		if i == 1 {
			<-stopped
		}
		c.read(i, conn, -1)
	})
	s := openOneWay(t, "syslog+tcp://"+l.Addr().String(), Options{}, 1<<20)
	all := batches(2, 100)
	deliverAll(t, s, all[:1])
	synced(t, s)
	deliverAll(t, s, all[1:])
	s.patience = 20 * time.Millisecond
	for range 3 {
		if _, err := s.Sync(context.Background()); !errors.Is(err, errSilent) {
			t.Fatalf("Sync gives %v, want %v", err, errSilent)
		}
	}
	close(stopped)
	if resent := synced(t, s); resent != 0 || s.size != 0 {
		t.Errorf("%d sent again, %d bytes unconfirmed", resent, s.size)
	}
	exactlyOnce(t, c.got(), 20)
}

// Slowness is told, and waited for: nothing is sent twice, nothing torn.
func TestSlowReceiver(t *testing.T) {
	files := newPKI(t)
	for _, scheme := range []string{"syslog+tcp", "syslog+tls"} {
		t.Run(scheme, func(t *testing.T) {
			l := listenTCP(t, "127.0.0.1:0")
			to := scheme + "://" + l.Addr().String()
			if scheme == "syslog+tls" {
				l = files.listener(l, files.good, false)
			}
			full := make(chan struct{})
			c := collect(t, l, func(c *collector, i int, conn net.Conn) {
				if i == 0 {
					handshake(conn)
					<-full
				}
				c.read(i, conn, -1)
			})
			s := openOneWay(t, to, Options{TLS: TLS{CAFile: files.ca}}, 1<<30)
			s.stall = 20 * time.Millisecond
			all := batches(200, 20_000) // 40 MB: more than fits into the sockets
			// The same batch is tried until it seems that it will not go.
			var delivered, stalls int
			for delivered < len(all) && stalls < 20 {
				_, err := s.Deliver(context.Background(), all[delivered])
				switch {
				case errors.Is(err, errStalled):
					stalls++
				case err != nil:
					t.Fatal(err)
				default:
					delivered, stalls = delivered+1, 0
				}
			}
			if delivered == len(all) {
				t.Fatal("everything went into the sockets' buffers: the test lost its reach")
			}
			close(full)
			s.stall = stall
			resent, errs := deliverAll(t, s, all[delivered:])
			resent += synced(t, s)
			if resent != 0 || len(errs) > 0 {
				t.Errorf("%d sent again, errors %v", resent, errs)
			}
			c.wait("all", func(got [][]string) bool { return len(got) > 0 && len(got[0]) == 2000 })
			exactlyOnce(t, c.got(), 2000)
		})
	}
}

// The end of the context, or Close, ends a call that waits for the receiver.
func TestStuckCallsEnd(t *testing.T) {
	l := listenTCP(t, "127.0.0.1:0")
	hold := make(chan struct{})
	collect(t, l, func(*collector, int, net.Conn) { <-hold })
	t.Cleanup(func() { close(hold) })
	s := openOneWay(t, "syslog+tcp://"+l.Addr().String(), Options{}, 1<<30)
	s.stall = time.Hour
	b := &format.Batch{Data: append(bytes.Repeat([]byte{'x'}, 64<<20), '\n')} // more than fits into the sockets
	b.Events = []format.Event{{End: len(b.Data), Records: 1}}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := s.Deliver(ctx, b); !errors.Is(err, context.Canceled) {
		t.Errorf("Deliver gives %v", err)
	}
	time.AfterFunc(20*time.Millisecond, func() { s.Close() })
	if _, err := s.Deliver(context.Background(), b); !errors.Is(err, context.Canceled) {
		t.Errorf("Deliver gives %v", err)
	}
}
