package dest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/receivers"
	"synoptic/rawsock/tcpinfo"
	"synoptic/results/sink/batch"
)

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
			err := c.finish(context.Background(), time.Minute, time.Minute)
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
	if err := c.finish(context.Background(), time.Minute, time.Minute); err == nil || errors.Is(err, errSilent) {
		t.Errorf("finish gives %v", err)
	}
}

// A receiver that closes, and then takes no connection or breaks it, was killed: perhaps with what it had
// read in memory.
func TestKilledAtConfirmation(t *testing.T) {
	needConfirm(t)
	for _, refuses := range []bool{true, false} {
		l := listenTCP(t, "127.0.0.1:0")
		addr := l.Addr().String()
		first := collect(t, l, func(c *collector, i int, conn net.Conn) {
			if i == 1 { // a kernel resets what nobody has accepted
				conn.(*net.TCPConn).SetLinger(0)
				return
			}
			c.read(i, conn, -1)
		})
		s := openOneWay(t, "syslog+tcp://"+addr, Options{}, 1<<20)
		deliverAll(t, s, batches(3, 10))
		if refuses {
			l.Close()
		}
		if _, err := s.Sync(context.Background()); err == nil || IsPermanent(err) {
			t.Fatalf("Sync gives %v", err)
		}
		exactlyOnce(t, first.got(), 30)
		l.Close()
		again := collect(t, listenTCP(t, addr), readAll)
		if resent := synced(t, s); resent != 30 {
			t.Errorf("%d records were sent again, want 30", resent)
		}
		exactlyOnce(t, again.got(), 30)
	}
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
			s.endWait, s.keep = 30*time.Millisecond, 30_000
			if !tcpinfo.Known { // there the first connection is not ended
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
	s.endWait = 30 * time.Millisecond
	all := batches(60, 100)
	deliverAll(t, s, all[:20])
	if s.left == nil || !s.endless {
		t.Fatal("the receiver was waited for: the test lost its reach")
	}
	close(stopped)
	<-s.left.gone
	s.endWait = endWait
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

// A receiver that has confirmed once, or has read to the end, is waited for, however long it takes.
func TestSlowConfirmation(t *testing.T) {
	needConfirm(t)
	for _, slow := range []struct {
		from int // the first connection that has to wait: the second shows that the receiver lives
		err  error
	}{{1, errSlow}, {2, errSilent}} {
		l := listenTCP(t, "127.0.0.1:0")
		stopped := make(chan struct{})
		c := collect(t, l, func(c *collector, i int, conn net.Conn) {
			if i >= slow.from {
				<-stopped
			}
			c.read(i, conn, -1)
		})
		s := openOneWay(t, "syslog+tcp://"+l.Addr().String(), Options{}, 1<<20)
		all := batches(2, 100)
		deliverAll(t, s, all[:1])
		if slow.from == 2 {
			synced(t, s)
			deliverAll(t, s, all[1:])
		}
		s.endWait = 20 * time.Millisecond
		for range 3 {
			if _, err := s.Sync(context.Background()); !errors.Is(err, slow.err) {
				t.Fatalf("Sync gives %v, want %v", err, slow.err)
			}
		}
		close(stopped)
		if resent := synced(t, s); resent != 0 || s.size != 0 || s.endless {
			t.Errorf("%d sent again, %d bytes unconfirmed", resent, s.size)
		}
		exactlyOnce(t, c.got(), 10*slow.from)
	}
}

// Slowness is told, and waited for: nothing is sent twice, nothing torn.
func TestSlowReceiver(t *testing.T) {
	need.Long(t)
	files := receivers.NewPKI(t)
	for _, scheme := range []string{"syslog+tcp", "syslog+tls"} {
		t.Run(scheme, func(t *testing.T) {
			l := listenTCP(t, "127.0.0.1:0")
			to := scheme + "://" + l.Addr().String()
			if scheme == "syslog+tls" {
				l = listenTLS(files, l, files.Good, false)
			}
			full := make(chan struct{})
			c := collect(t, l, func(c *collector, i int, conn net.Conn) {
				if i == 0 {
					handshake(conn)
					<-full
				}
				c.read(i, conn, -1)
			})
			s := openOneWay(t, to, Options{TLS: TLS{CAFile: files.CA}}, 1<<30)
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
	need.Long(t)
	l := listenTCP(t, "127.0.0.1:0")
	hold := make(chan struct{})
	collect(t, l, func(*collector, int, net.Conn) { <-hold })
	t.Cleanup(func() { close(hold) })
	s := openOneWay(t, "syslog+tcp://"+l.Addr().String(), Options{}, 1<<30)
	s.stall = time.Hour
	b := &batch.Batch{Data: append(bytes.Repeat([]byte{'x'}, 64<<20), '\n')} // more than fits into the sockets
	b.Events = []batch.Event{{End: len(b.Data), Records: 1}}
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
