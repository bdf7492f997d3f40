package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"synoptic/rawsock"
	"synoptic/results/sink"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// What is said of outputs while records wait, and when some are lost.
func TestOutputNotices(t *testing.T) {
	refused := errors.New("dial tcp 10.90.7.2:514: connection refused")
	for _, c := range []struct {
		name    string
		spool   string
		timeout time.Duration
		notice  sink.Notice
		want    string
	}{
		{"a receiver that is down", "", 0, sink.Notice{Output: "syslog+tcp://10.90.7.2", Err: refused},
			"synoptic: records for output \"syslog+tcp://10.90.7.2\" wait: dial tcp 10.90.7.2:514: connection refused\nhint: retrying; Ctrl-C stops waiting, and what is not delivered is lost (no --spool)\n"},
		{"with a spool", "/var/spool/s", 0, sink.Notice{Output: "o", Err: refused},
			"synoptic: records for output \"o\" wait: dial tcp 10.90.7.2:514: connection refused\nhint: retrying; Ctrl-C stops waiting, and what is not delivered stays in --spool /var/spool/s\n"},
		{"where nobody presses Ctrl-C", "", 10 * time.Minute, sink.Notice{Output: "o", Err: refused},
			"synoptic: records for output \"o\" wait: dial tcp 10.90.7.2:514: connection refused\nhint: retrying; after 10m0s without success, or on Ctrl-C, it is given up, and what is not delivered is lost (no --spool)\n"},
		{"both", "s", time.Minute, sink.Notice{Output: "o", Err: refused},
			"synoptic: records for output \"o\" wait: dial tcp 10.90.7.2:514: connection refused\nhint: retrying; after 1m0s without success, or on Ctrl-C, it is given up, and what is not delivered stays in --spool s\n"},
		{"given up", "s", time.Minute, sink.Notice{Output: "o", Waited: time.Minute, Kept: 18},
			"synoptic: output \"o\" has taken nothing for 1m0s and is given up: 18 records stay in the spool: the next scan with the same output and spool delivers them\n"},
		{"one that stays", "s", 0, sink.Notice{Output: "o", Kept: 1},
			"synoptic: 1 record stays in the spool for output \"o\": the next scan with the same output and spool delivers them\n"},
		{"many that stay", "s", 0, sink.Notice{Output: "o", Kept: 16384},
			"synoptic: 16,384 records stay in the spool for output \"o\": the next scan with the same output and spool delivers them\n"},
		{"from an earlier scan", "s", 0, sink.Notice{Output: "o", Found: 16384},
			"synoptic: 16,384 records for output \"o\" from an earlier scan in the spool: delivered first\n"},
		{"it goes on", "", 0, sink.Notice{Output: "o", After: 90 * time.Second}, "synoptic: output \"o\" goes on after 1m30s\n"},
		{"something else", "", 0, sink.Notice{Output: "o", Warning: errors.New("the folder is on a network")}, "synoptic: output \"o\": the folder is on a network\n"},
	} {
		var said bytes.Buffer
		logNotice(logText.logger(&said), c.spool, c.timeout)(c.notice)
		if said.String() != c.want {
			t.Errorf("%s:\ngot  %swant %s", c.name, &said, c.want)
		}
	}
}

// Errors as they are printed: message, and hint.
func TestErrorsAsPrinted(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"lost records", failure{&sink.UndeliveredError{Output: "syslog+tcp://h", Records: 18}},
			"synoptic: 18 records were not delivered to output \"syslog+tcp://h\" and are lost\nhint: with --spool, on a disk with room, they are kept, and delivered by the next scan with the same output\n"},
		{"one that is lost, and why", failure{&sink.UndeliveredError{Output: "o", Records: 1, Err: errors.New("disk full")}},
			"synoptic: 1 record was not delivered to output \"o\" and is lost: disk full\nhint: with --spool, on a disk with room, they are kept, and delivered by the next scan with the same output\n"},
		{"lost to standard output", failure{&sink.UndeliveredError{Output: "-", Records: 2, Transient: true}},
			"synoptic: 2 records were not delivered to output \"-\" and are lost\nhint: give -o FILE.jsonl too, of which synoptic convert makes every other format: a spool keeps nothing for standard output or a document\n"},
		{"several", errors.Join(errors.New("one"), usage("do it", "two")), "synoptic: one\nsynoptic: two\nhint: do it\n"},
	} {
		var said bytes.Buffer
		printError(logText.logger(&said), c.err)
		if said.String() != c.want {
			t.Errorf("%s:\ngot  %swant %s", c.name, &said, c.want)
		}
	}
}

// deprived is this host for who may not open raw sockets.
type deprived struct {
	plan.Host
	why error
}

func (u deprived) CanRaw() error { return u.why }

// Who may not open raw sockets is told that connect() scans, in words without the kernel's; and why what was asked for by name
// cannot be had.
func TestWithoutRights(t *testing.T) {
	denied := rawsock.WithHint(fmt.Errorf("open packet socket: %w: %w", rawsock.ErrPermission, syscall.EPERM), "Backend", "run `sudo setcap cap_net_raw+ep` on the binary once, or run it as root")
	targets, err := target.Load(t.Context(), target.Config{Targets: []string{"127.0.0.1:80"}})
	if err != nil {
		t.Fatal(err)
	}
	const fallback = "synoptic: scanning by connect(): no permission for raw sockets (CAP_NET_RAW)\nhint: run `sudo setcap cap_net_raw+ep` on the binary once, or run it as root\n"
	for _, c := range []struct {
		name    string
		asked   plan.Config
		flags   scanFlags
		why     error
		want    string
		refused bool
	}{
		{name: "a log", why: denied, want: fallback},
		{name: "quiet", flags: scanFlags{quiet: true}, why: denied, want: fallback},
		{name: "no packet sockets", flags: scanFlags{quiet: true}, why: errors.New("open packet socket: address family not supported"), want: "synoptic: scanning by connect(): open packet socket: address family not supported\n"},
		{name: "asked for connect", asked: plan.Config{Backend: plan.BackendConnect}, flags: scanFlags{quiet: true}, why: denied},
		{name: "asked for afpacket", asked: plan.Config{Backend: plan.BackendAFPacket}, why: denied, refused: true,
			want: "synoptic: backend afpacket: open packet socket: raw sockets need CAP_NET_RAW: operation not permitted\nhint: run `sudo setcap cap_net_raw+ep` on the binary once, or run it as root\n"},
	} {
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		c.asked.Targets, c.asked.Host = targets, deprived{plan.ThisHost(), c.why}
		p, err := plan.New(c.asked)
		if err == nil {
			newView(streams{out: file, err: file}, &c.flags, logText).Begin(p)
		} else {
			printError(logText.logger(file), err)
		}
		said, readErr := os.ReadFile(file.Name())
		if readErr != nil {
			t.Fatal(readErr)
		}
		if got := routine.ReplaceAllString(string(said), ""); (err != nil) != c.refused || !strings.HasSuffix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %v\ngot  %swant %s", c.name, err, got, c.want)
		}
	}
}

// Names are resolved by a name server of the test's own, that of the process: what becomes of those that it does not know, and where
// it says nothing.
func TestNamesThatDoNotResolve(t *testing.T) {
	clean(t)
	write(t, "inv.txt", "one.lab.test.\nold.lab.test.\n127.0.0.9\nolder.lab.test.\nold.lab.test.\n")
	saved := net.DefaultResolver
	defer func() { net.DefaultResolver = saved }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, silence{} }}
	for _, s := range []saying{
		{"scan away.lab.test. -p 80 --dry-run", 2, `"away.lab.test": cannot resolve: the name server [0-9a-f.:\[\]]+ does not answer\nhint: check the spelling and the name server, or give the address\n`},
		{"scan away.lab.test. 127.0.0.1 -p 80 --dry-run", 0, `skipped 1 name of 1, cannot resolve: the name server \S+ does not answer: away.lab.test\.?\nhint: set --strict to refuse them\n.*1 address\b`},
		{"scan 127.0.0.1 --exclude away.lab.test. -p 80 --dry-run", 2, `--exclude: "away.lab.test": cannot resolve: the name server \S+ does not answer`},
	} {
		s.check(t)
		if o := answer(t, s.words()...); strings.Contains(o.stderr, "i/o timeout") || strings.Contains(o.stderr, "read udp") || strings.Contains(o.stderr, "lookup") {
			t.Errorf("synoptic %s: words of the resolver: %s", s.line, o.stderr)
		}
	}
	server := nameServer(t, map[string][4]byte{"one.lab.test.": {127, 0, 0, 1}})
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server)
	}}
	for _, s := range []saying{
		{"scan -i inv.txt -p 80 --dry-run", 0, `skipped 2 names of 3, cannot resolve: no such name: old.lab.test, older.lab.test\nhint: set --strict to refuse them\ntargets +2 addresses.*names +3 host names, 2 skipped`},
		{"scan -i inv.txt -p 80 --dry-run --strict", 2, `inv.txt:2: "old.lab.test": cannot resolve: no such name\n.*inv.txt:4: "older.lab.test": cannot resolve: no such name\n`},
		{"scan old.lab.test. older.lab.test. -p 80 --dry-run", 2, `"old.lab.test": cannot resolve: no such name\n.*"older.lab.test": cannot resolve: no such name\nhint: check the spelling`},
		{"scan one.lab.test. old.lab.test. -p 80 --dry-run", 0, `skipped 1 name of 2, cannot resolve: no such name: old.lab.test`},
		{"scan one.lab.test. --exclude old.lab.test. -p 80 --dry-run", 2, `--exclude: "old.lab.test": cannot resolve: no such name`},
		{"scan one.lab.test. -p 80 --dry-run", 0, `^targets +1 address`},
	} {
		s.check(t)
	}
}

// silence is what a name server gives that does not answer.
type silence struct{}

func (silence) Error() string   { return "i/o timeout" }
func (silence) Timeout() bool   { return true }
func (silence) Temporary() bool { return true }

// nameServer answers on loopback for some names, and knows no others.
func nameServer(t *testing.T, names map[string][4]byte) (address string) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		query := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(query)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(query[:n]); err != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RCode: dnsmessage.RCodeNameError}, Questions: m.Questions}
			if a, ok := names[q.Name.String()]; ok {
				reply.RCode = dnsmessage.RCodeSuccess
				if q.Type == dnsmessage.TypeA {
					reply.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: a}}}
				}
			}
			if packed, err := reply.Pack(); err == nil {
				c.WriteTo(packed, from)
			}
		}
	}()
	return c.LocalAddr().String()
}
