package dest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/receivers"
	"synoptic/rawsock/tcpinfo"
	"synoptic/results/sink/batch"
)

// The bytes of two messages, one of them not in the native format and not in ASCII.
func TestSyslogFrame(t *testing.T) {
	h, err := newHeader(url.Values{"facility": {"local7"}, "app": {"scanner"}}, Options{Hostname: "scan01.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	h.tail = strings.Replace(h.tail, " "+strconv.Itoa(os.Getpid())+" ", " 4711 ", 1)
	native := `{"v":1,"type":"port","port":443}` + "\n"
	other := "{\"host\":\"b\u00fccher \u2026 \U0001f50d \xff\\u00fc\"}\n"
	b := &batch.Batch{Data: []byte(native + other), Events: []batch.Event{
		{End: len(native), Time: time.Date(2026, 11, 22, 10, 12, 13, 123456789, time.UTC).UnixNano()},
		{End: len(native + other), Time: time.Date(2026, 11, 22, 10, 12, 14, 999, time.UTC).UnixNano()},
	}}
	const want = `106 <190>1 2026-11-22T10:12:13.123456Z scan01.example.net scanner 4711 port - {"v":1,"type":"port","port":443}` +
		`126 <190>1 2026-11-22T10:12:14.000000Z scan01.example.net scanner 4711 - - {"host":"b\u00fccher \u2026 \ud83d\udd0d \ufffd\u00fc"}`
	got := string(h.frame(nil, b))
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	buf := make([]byte, 0, 1<<10)
	b = &batch.Batch{Data: []byte(native + "{}\n"), Events: []batch.Event{{End: len(native)}, {End: len(native) + 3}}}
	if n := testing.AllocsPerRun(100, func() { buf = h.frame(buf[:0], b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSyslogHeader(t *testing.T) {
	for _, c := range []struct {
		query, hostname, pri, tail string
	}{
		{"", "scan01", "<134>1 ", " scan01 synoptic "},
		{"", "not a name", "<134>1 ", " - synoptic "},
		{"", "", "<134>1 ", " - synoptic "},
		{"facility=kern&hostname=h&app=a", "scan01", "<6>1 ", " h a "},
		{"facility=23", "scan01", "<190>1 ", " scan01 synoptic "},
		{"facility=authpriv", "scan01", "<86>1 ", " scan01 synoptic "},
	} {
		q, _ := url.ParseQuery(c.query)
		h, err := newHeader(q, Options{Hostname: c.hostname})
		if err != nil {
			t.Errorf("%q: %v", c.query, err)
		} else if h.pri != c.pri || h.tail != c.tail+strconv.Itoa(os.Getpid())+" " {
			t.Errorf("%q, host %q: %q … %q", c.query, c.hostname, h.pri, h.tail)
		}
	}
}

// Wrong addresses and options are refused, with a hint, before anything is connected.
func TestOneWayOptions(t *testing.T) {
	for _, to := range []string{
		"syslog+tcp://", "syslog+tcp:514", "syslog+tcp://:514", "syslog+tcp://127.0.0.1:0", "syslog+tcp://127.0.0.1:65536",
		"syslog+tcp://127.0.0.1/path", "syslog+tcp://127.0.0.1#x", "syslog+tcp://a..b",
		"syslog+tcp://127.0.0.1?color=red", "syslog+tcp://127.0.0.1?app=a&app=b",
		"syslog+tcp://127.0.0.1?facility=", "syslog+tcp://127.0.0.1?facility=24", "syslog+tcp://127.0.0.1?facility=-1", "syslog+tcp://127.0.0.1?facility=local8",
		"syslog+tcp://127.0.0.1?hostname=", "syslog+tcp://127.0.0.1?hostname=a%20b", "syslog+tcp://127.0.0.1?hostname=b%C3%BC", "syslog+tcp://127.0.0.1?app=" + strings.Repeat("a", 49),
		"syslog+tcp://127.0.0.1?resend=", "syslog+tcp://127.0.0.1?resend=1", "syslog+tcp://127.0.0.1?resend=2G", "syslog+tcp://127.0.0.1?resend=M", "syslog+tcp://127.0.0.1?resend=1MM", "syslog+tcp://127.0.0.1?resend=-1M",
		"unix:", "unix:name", "unix://host/path", "unix:/s?facility=kern", "unix:/s#x", "unix:/s?resend=x",
	} {
		u, err := url.Parse(to)
		if err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		d, err := schemes[u.Scheme](u, Options{})
		if e, ok := errors.AsType[*Error](err); !ok || e.Hint() == "" {
			t.Errorf("%s: error %v", to, err)
		}
		if d != nil && err == nil {
			d.Close()
		}
	}
	for v, want := range map[string]int{"resend=64K": 64 << 10, "resend=65536": 65536, "resend=32M": 32 << 20, "resend=64m": 64 << 20, "resend=512k": 512 << 10, "resend=1G": 1 << 30, "": 32 << 20} {
		q, _ := url.ParseQuery(v)
		if n, err := resendOption(q); n != want || err != nil {
			t.Errorf("%q: %d, %v", v, n, err)
		}
	}
}

// listenTLS puts TLS over a listener.
func listenTLS(p *receivers.PKI, l net.Listener, cert tls.Certificate, clients bool) net.Listener {
	c := &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: p.Roots}
	if clients {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return tls.NewListener(l, c)
}

// handshake makes sure that a server's side has begun: it would wait for the first read.
func handshake(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		t.Handshake()
	}
}

// Over TLS the receiver is verified and confirms; a client certificate is shown.
func TestSyslogTLS(t *testing.T) {
	files := receivers.NewPKI(t)
	l := listenTCP(t, "127.0.0.1:0")
	c := collect(t, listenTLS(files, l, files.Good, true), readAll)
	s := openOneWay(t, "syslog+tls://"+l.Addr().String(), Options{TLS: TLS{CAFile: files.CA, CertFile: files.Cert, KeyFile: files.Key}}, 10_000)
	s.conn.stream.SetWriteDeadline(time.Now().Add(-time.Hour)) // as package tls does: no record may be torn by one
	resent, errs := deliverAll(t, s, batches(50, 100))
	resent += synced(t, s)
	if resent != 0 || len(errs) > 0 {
		t.Errorf("%d sent again, errors %v", resent, errs)
	}
	c.wait("all", func(got [][]string) bool {
		n := 0
		for _, g := range got {
			n += len(g)
		}
		return n >= 500
	})
	exactlyOnce(t, c.got(), 500)
	if tcpinfo.Known && (s.size != 0 || len(c.got()) < 5) {
		t.Errorf("%d bytes unconfirmed, %d connections", s.size, len(c.got()))
	}
}

// What an operator has to fix is an error before the scan, with a hint.
func TestSyslogTLSRefused(t *testing.T) {
	files := receivers.NewPKI(t)
	plain := func(_ *collector, _ int, conn net.Conn) {
		conn.Write([]byte("220 this is no TLS\r\n"))
		io.Copy(io.Discard, conn) // closing with data unread would reset the connection
	}
	for name, c := range map[string]struct {
		cert    tls.Certificate
		clients bool
		plain   bool
		o       TLS
		reason  string
	}{
		"unknown authority":     {cert: files.Good, reason: "certificate"},
		"another name":          {cert: files.Wrong, o: TLS{CAFile: files.CA}, reason: "certificate"},
		"no client certificate": {cert: files.Good, clients: true, o: TLS{CAFile: files.CA}, reason: "certificate required"},
		"no TLS":                {plain: true, o: TLS{CAFile: files.CA}, reason: "does not look like a TLS handshake"},
		"no CA file":            {cert: files.Good, o: TLS{CAFile: "/does/not/exist"}, reason: "/does/not/exist"},
	} {
		t.Run(name, func(t *testing.T) {
			l := listenTCP(t, "127.0.0.1:0")
			if c.plain {
				collect(t, l, plain)
			} else {
				collect(t, listenTLS(files, l, c.cert, c.clients), func(c *collector, i int, conn net.Conn) { handshake(conn) })
			}
			u, _ := url.Parse("syslog+tls://" + l.Addr().String())
			d, err := openSyslogWithin(u, Options{TLS: c.o}, time.Minute) // or until the alert comes
			if e, ok := errors.AsType[*Error](err); !ok || e.Hint() == "" || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("error %v", err)
			}
			if d != nil {
				d.Close()
			}
		})
	}
}

// A receiver that is down when the scan begins is waited for; that it shows the wrong certificate then is
// told, and no reason to give up.
func TestSyslogLater(t *testing.T) {
	files := receivers.NewPKI(t)
	l := listenTCP(t, "127.0.0.1:0")
	addr := l.Addr().String()
	l.Close()
	s := openOneWay(t, "syslog+tls://"+addr, Options{TLS: TLS{CAFile: files.CA}}, 1<<20)
	all := batches(2, 10)
	if _, err := s.Deliver(context.Background(), all[0]); err == nil || IsPermanent(err) {
		t.Fatalf("nobody listens: %v", err)
	}
	wrong := listenTLS(files, listenTCP(t, addr), files.Wrong, false)
	collect(t, wrong, func(_ *collector, _ int, conn net.Conn) { handshake(conn) })
	if _, err := s.Deliver(context.Background(), all[0]); !unverified(err) || IsPermanent(err) {
		t.Fatalf("wrong certificate: %v", err)
	}
	wrong.Close()
	c := collect(t, listenTLS(files, listenTCP(t, addr), files.Good, false), readAll)
	deliverAll(t, s, all)
	synced(t, s)
	c.wait("both batches", func(got [][]string) bool { return len(got) > 0 && len(got[0]) == 20 })
	exactlyOnce(t, c.got(), 20)
}
