package sink

import (
	"bufio"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/results"
)

// What a receiver without acknowledgement was sent and never read is not lost with it: at the end it goes
// to the spool, before what was never sent, or is said to be lost where there is none.
func TestUnconfirmedIsKept(t *testing.T) {
	for _, spooled := range []bool{true, false} {
		dir := t.TempDir()
		name := filepath.Join(dir, "receiver")
		l, err := net.Listen("unix", name)
		must(t, err)
		var c Config
		if spooled {
			c.Spool = filepath.Join(dir, "spool")
		}
		out, err := Open("jsonl:unix:"+name, c)
		must(t, err)
		deaf, err := l.Accept()
		must(t, err)
		must(t, out.Start(&results.ScanStart{ScanID: "s"}))
		o := &sender{Output: out}
		must(t, o.send(500))
		until(t, "all sent", func() bool { return o.Delivery().Queued == 0 })
		must(t, l.Close())
		must(t, deaf.Close())
		must(t, o.send(100))
		err = o.Finish(ended())
		if !spooled {
			lost, _ := errors.AsType[*UndeliveredError](err)
			if lost == nil || lost.Records != 601 {
				t.Errorf("error %v, want 601 records lost", err)
			}
			continue
		}
		must(t, err)
		if d := o.Delivery(); d.Delivered != 0 || d.Queued != 601 {
			t.Errorf("counts %+v", d)
		}
		l, err = net.Listen("unix", name)
		must(t, err)
		next, err := Open("jsonl:unix:"+name, c)
		must(t, err)
		got := make(chan []string)
		go func() {
			var lines []string
			for range 2 { // the second only shows that the receiver lives
				conn, err := l.Accept()
				if err != nil {
					break
				}
				s := bufio.NewScanner(conn)
				for s.Scan() {
					lines = append(lines, s.Text())
				}
				conn.Close()
			}
			got <- lines
		}()
		must(t, next.Close())
		must(t, l.Close())
		lines := <-got
		if len(lines) != 601 || !strings.Contains(lines[0], "scan_start") {
			t.Errorf("the next process delivers %d lines, want 601", len(lines))
		}
	}
}
