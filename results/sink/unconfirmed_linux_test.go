package sink

import (
	"bufio"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// What a receiver without acknowledgement was sent and never read is not lost with it: at the end it goes
// to the spool, before what was never sent, or is said to be lost where there is none.
func TestUnconfirmedIsKept(t *testing.T) {
	for _, spooled := range []bool{true, false} {
		dir := t.TempDir()
		name := filepath.Join(dir, "receiver")
		l, err := net.Listen("unix", name)
		must(t, err)
		c := Config{times: times{time.Minute, time.Minute}, DeadLetters: filepath.Join(dir, "dead.jsonl")}
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

// A receiver that has taken everything and does not say so leaves a doubt, which is told.
func TestUnconfirmedIsTold(t *testing.T) {
	r := &silent{receiver: &receiver{}}
	o, said := output(t, r, "", Config{})
	must(t, o.send(10))
	must(t, o.Close())
	if len(said.all) != 1 || said.all[0].Warning == nil || !strings.Contains(said.all[0].Warning.Error(), "not confirmed the last 7 records") {
		t.Errorf("said %+v", said.all)
	}
}

// silent is a receiver that has not confirmed seven records.
type silent struct{ *receiver }

func (silent) Unconfirmed() ([]*batch.Batch, uint64) { return nil, 7 }

// Where dead letters could not be written is known before anything is sent.
func TestDeadLettersMustBePossible(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "receiver"))
	must(t, err)
	defer l.Close()
	to := "unix:" + l.Addr().String()
	_, err = Open(to, Config{DeadLetters: filepath.Join(t.TempDir(), "none", "dead.jsonl")})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Hint(), "DeadLetters") {
		t.Errorf("error %v", err)
	}
	dir := t.TempDir()
	o, err := Open(to, Config{DeadLetters: filepath.Join(dir, "dead.jsonl")})
	must(t, err)
	must(t, o.Finish(ended()))
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
