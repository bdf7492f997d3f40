package dest

import (
	"bufio"
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

	"synoptic/rawsock/tcpinfo"
	"synoptic/results/sink/batch"
)

// collector is a receiver in the process: what each connection does is the test's.
type collector struct {
	t   *testing.T
	all sync.WaitGroup // a goroutine for each connection

	mu    sync.Mutex
	conns [][]string // the events that each connection brought, in order
	open  []net.Conn
	over  bool // no connection is taken any more
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
			if c.over {
				conn.Close()
			}
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
		c.over = true
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
	for deadline := time.Now().Add(time.Minute); !f(c.got()); time.Sleep(time.Millisecond) {
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
func batches(n, size int) (all []*batch.Batch) {
	pad := strings.Repeat("x", size)
	for i := range n {
		b := &batch.Batch{}
		for j := range 10 {
			b.Data = fmt.Appendf(b.Data, `{"n":%d,"pad":"%s"}`+"\n", 10*i+j, pad)
			b.Events = append(b.Events, batch.Event{End: len(b.Data), Time: 1763806333123456789, Records: 1})
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
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
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

func deliverAll(t *testing.T, s *oneWay, all []*batch.Batch) (resent uint64, errs []error) {
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
	if !tcpinfo.Known {
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
