package dest_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"synoptic/bench/lab/receivers"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// A handshake that would end in the same error again is one at once, with a hint, in every destination over TLS; a connection
// that breaks may pass.
func TestHandshakes(t *testing.T) {
	files := receivers.NewPKI(t)
	server := func(least, most uint16, ciphers ...uint16) func(net.Conn) {
		c := &tls.Config{Certificates: []tls.Certificate{files.Good}, MinVersion: least, MaxVersion: most, CipherSuites: ciphers}
		return func(conn net.Conn) { _ = tls.Server(conn, c).Handshake() }
	}
	// A ServerHello of an old version, by a server that knows nothing of supported_versions (RFC 8446 section 4.2.1).
	hello := func(version byte) func(net.Conn) {
		return func(conn net.Conn) {
			body := append([]byte{3, version}, make([]byte, 32)...) // the random
			body = append(body, 0, 0xc0, 0x13, 0)                   // no session, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression
			message := append([]byte{2, 0, 0, byte(len(body))}, body...)
			write(conn, append([]byte{22, 3, version, 0, byte(len(message))}, message...))
		}
	}
	says := func(b string) func(net.Conn) { return func(conn net.Conn) { write(conn, []byte(b)) } }
	for name, c := range map[string]struct {
		serve   func(net.Conn)
		lasting bool
		says    string // that the version is too old, where it is known to be
	}{
		"TLS 1.0 only, with an alert":    {server(tls.VersionTLS10, tls.VersionTLS10), true, "TLS version is too old"},
		"TLS 1.1 only, with an alert":    {server(tls.VersionTLS11, tls.VersionTLS11), true, "TLS version is too old"},
		"TLS 1.1 at most, with an alert": {server(tls.VersionTLS10, tls.VersionTLS11), true, "TLS version is too old"},
		"SSL 3.0 chosen":                 {hello(0), true, "TLS version is too old, SSLv3"},
		"TLS 1.0 chosen":                 {hello(1), true, "TLS version is too old, TLS 1.0"},
		"TLS 1.1 chosen":                 {hello(2), true, "TLS version is too old, TLS 1.1"},
		"alert: protocol_version":        {says("\x15\x03\x01\x00\x02\x02\x46"), true, "TLS version is too old"},
		"alert: handshake_failure":       {says("\x15\x03\x01\x00\x02\x02\x28"), true, ""},
		"alert: insufficient_security":   {says("\x15\x03\x03\x00\x02\x02\x47"), true, ""},
		"plain HTTP":                     {says("HTTP/1.1 400 Bad Request\r\n\r\n"), true, ""},
		"plain syslog, a banner":         {says("220 no TLS here\r\n"), true, ""},
		"nonsense":                       {says(strings.Repeat("\xff", 64)), true, ""},
		"TLS 1.2 only":                   {server(tls.VersionTLS12, tls.VersionTLS12), false, ""},
		"closed at once":                 {func(net.Conn) {}, false, ""},
		"reset at once":                  {func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }, false, ""},
		"half an answer":                 {says("\x16\x03\x03\x00\x40\x02"), false, ""},
	} {
		for _, scheme := range []string{"hec+https", "elastic+https", "syslog+tls"} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				t.Parallel()
				l, err := net.Listen("tcp", "127.0.0.1:0")
				must(t, err)
				t.Cleanup(func() { l.Close() })
				go serveEach(l, c.serve)
				to := scheme + "://" + l.Addr().String()
				if scheme == "elastic+https" {
					to += "/logs"
				}
				d, _, err := dest.Open(to, dest.Content{Messages: true}, dest.Options{HECToken: secret, ElasticAPIKey: secret, TLS: dest.TLS{CAFile: files.CA}})
				if d != nil {
					defer d.Close()
				}
				if !c.lasting {
					if e, ok := errors.AsType[*dest.Error](err); ok {
						t.Errorf("it may pass: %v", e)
					}
					return
				}
				if err == nil {
					t.Fatal("taken")
				}
				wantHint(t, err)
				var h interface{ Hint() string }
				if errors.As(err, &h) && !strings.Contains(h.Hint(), "TLS 1.2") {
					t.Errorf("hint %q", h.Hint())
				}
				if !strings.Contains(err.Error(), c.says) || c.says == "" && strings.Contains(err.Error(), "too old") {
					t.Errorf("%v, want %q", err, c.says)
				}
				if old := strings.Contains(h.Hint(), "is the least"); old != (c.says != "") {
					t.Errorf("hint %q", h.Hint())
				}
			})
		}
	}
}

// A receiver that comes up only later, with a TLS that is too old, is told of as such, and waited for: it may be replaced.
func TestOldTLSLater(t *testing.T) {
	files := receivers.NewPKI(t)
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		for _, scheme := range []string{"hec+https", "elastic+https", "syslog+tls"} {
			t.Run(tls.VersionName(version)+" "+scheme, func(t *testing.T) {
				t.Parallel()
				l, err := net.Listen("tcp", "127.0.0.1:0")
				must(t, err)
				addr := l.Addr().String()
				must(t, l.Close())
				to := scheme + "://" + addr + map[string]string{"elastic+https": "/logs"}[scheme]
				d, _, err := dest.Open(to, dest.Content{Messages: true}, dest.Options{HECToken: secret, ElasticAPIKey: secret, TLS: dest.TLS{CAFile: files.CA}})
				must(t, err)
				defer d.Close()
				if d.(dest.Reacher).Unreachable() == nil {
					t.Fatal("it can be reached")
				}
				l, err = net.Listen("tcp", addr)
				if err != nil {
					t.Skip(err) // somebody else has the port
				}
				defer l.Close()
				c := &tls.Config{Certificates: []tls.Certificate{files.Good}, MinVersion: version, MaxVersion: version}
				go serveEach(l, func(conn net.Conn) { _ = tls.Server(conn, c).Handshake() })
				_, err = d.Deliver(t.Context(), &batch.Batch{Data: []byte("{}\n"), Events: []batch.Event{{End: 3, Records: 1}}})
				if err == nil || dest.IsPermanent(err) || !strings.Contains(err.Error(), "TLS version is too old") {
					t.Errorf("%v, permanent %v", err, dest.IsPermanent(err))
				}
			})
		}
	}
}

// serveEach calls serve for each connection, one after the other, until l is closed.
func serveEach(l net.Listener, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		serve(conn)
		conn.Close()
	}
}

// write answers behind what the other side has begun to say.
func write(conn net.Conn, b []byte) {
	_, _ = conn.Read(make([]byte, 4096))
	_, _ = conn.Write(b)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // closing with data unread would reset the connection
	}
	_, _ = io.Copy(io.Discard, conn)
}
