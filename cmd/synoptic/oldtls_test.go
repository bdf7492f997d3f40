package main

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/bench/lab/testnet"
)

// Receivers whose TLS is too old, by what they are.
func oldReceivers(t *testing.T, test func(t *testing.T, to string, c *tls.Config, ca string)) {
	cert, authority := selfSigned(t, "")
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		for scheme, path := range map[string]string{"syslog+tls": "", "hec+https": "", "elastic+https": "/logs"} {
			testnet.Run(t, tls.VersionName(version)+" "+scheme, func(t *testing.T) {
				t.Parallel()
				ca := filepath.Join(t.TempDir(), "ca.pem")
				writeTo(t, ca, authority, 0o600)
				test(t, scheme+"://localhost:PORT"+path, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version}, ca)
			})
		}
	}
}

// scanTo is a scan of one port of loopback in a folder of its own, as cron would run it.
func scanTo(t *testing.T, to, ca string, more ...string) *exec.Cmd {
	args := append([]string{"scan", "127.0.0.1", "-p", "1", "--show", "all", "--backend", "connect", "-o", to, "--ca-file", ca, "-q"}, more...)
	cmd := exec.Command(program(t), args...)
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), envHECToken+"=token-1", envElasticKey+"=key-1")
	return cmd
}

// shakeHands serves TLS, and counts the handshakes that went well and the bytes that came behind them.
func shakeHands(t *testing.T, l net.Listener, c *tls.Config) {
	t.Cleanup(func() { l.Close() })
	go accept(l, func(conn net.Conn) {
		if s := tls.Server(conn, c); s.Handshake() == nil {
			t.Error("a handshake by an old TLS")
		}
	})
}

// A receiver whose TLS is too old is refused before anything is scanned, by every kind of destination alike, and the message
// says so; also where there is a spool, of which nothing is left.
func TestOldTLS(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	oldReceivers(t, func(t *testing.T, to string, c *tls.Config, ca string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		shakeHands(t, l, c)
		to = strings.ReplaceAll(to, "PORT", portOf(l))
		for _, more := range [][]string{nil, {"--spool", "spool"}, {"--log-format", "json"}} {
			cmd := scanTo(t, to, ca, more...)
			o := finish(t, cmd)
			if o.code != exitUsage || !strings.Contains(o.stderr, "the receiver's TLS version is too old") || !strings.Contains(o.stderr, "TLS 1.2 is the least") || o.stdout != "" {
				t.Errorf("%v: exit %d, %s", more, o.code, o.stderr)
			}
			if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
				t.Errorf("%v: %v is left, %v", more, left, err)
			}
		}
	})
}

// One that is down when the scan begins, and has too old a TLS when it comes up, is waited for as long as any other
// trouble is: the records stay in the spool, and the message says why.
func TestOldTLSBehindASpool(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	oldReceivers(t, func(t *testing.T, to string, c *tls.Config, ca string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := portOf(l)
		l.Close()
		cmd := scanTo(t, strings.ReplaceAll(to, "PORT", port), ca, "--spool", "spool", "--delivery-timeout", "3s")
		var stderr lockedBuffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return strings.Contains(stderr.String(), " wait: ") })
		if l, err = net.Listen("tcp", "127.0.0.1:"+port); err != nil {
			t.Fatal(err)
		}
		shakeHands(t, l, c)
		_ = cmd.Wait() // the exit code says it
		if code := cmd.ProcessState.ExitCode(); code != exitStopped || !strings.Contains(stderr.String(), "the receiver's TLS version is too old") || !strings.Contains(stderr.String(), "stay in the spool") {
			t.Errorf("exit %d, %s", code, stderr.String())
		}
		if kept, err := filepath.Glob(filepath.Join(cmd.Dir, "spool", "*", "*")); err != nil || len(kept) == 0 {
			t.Errorf("nothing is kept: %v", err)
		}
	})
}
