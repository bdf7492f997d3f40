package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"synoptic/bench/lab/replies"
	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// rowAddress is the target that a row of the table of replies is about.
func rowAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, byte(1 + i)}) }

// The table of replies, played to the whole program once for each backend: all that send raw packets come to the verdict
// that the table has, and connect to that of a kernel.
func TestTableOfReplies(t *testing.T) {
	rows := replies.Table()
	if len(rows) > 254 {
		t.Fatalf("%d rows are more than a prefix of addresses", len(rows))
	}
	eachBackend(t, func(t *testing.T, b backend) { tableOfReplies(t, b, rows) }, afpacket, xdp, ebpf, backend{name: "connect"})
}

func tableOfReplies(t *testing.T, b backend, rows []replies.Row) {
	t.Parallel()
	n := quietNetwork(t)
	b.prepare(t, n)
	stall.Judge(t, playsHere, func() error {
		answered := make([]uint16, len(rows)) // from which port it was asked first
		r := n.Respond(t, func(r *testnet.Responder, frame []byte) {
			p := replies.Read(frame)
			i := int(p.Target.As4()[3]) - 1
			if i >= len(rows) || p.Target != rowAddress(i) || p.Port != 80 {
				t.Errorf("probe to %v:%d", p.Target, p.Port)
				return
			}
			if answered[i] == p.LocalPort { // a kernel asks again
				return
			}
			if answered[i] == 0 { // beacons are answered as well
				answered[i] = p.LocalPort
			}
			if err := r.Send(rows[i].Frames(p)...); err != nil {
				t.Errorf("%s: %v", rows[i].Name, err)
			}
		})
		args := b.scan(10_000, fmt.Sprintf("%v-%v", rowAddress(0), rowAddress(len(rows)-1)), "-p", "80", "--show", "all", "--wait", "2s")
		if b.name != "connect" {
			args = append(args, "--retries", "0")
		}
		o := synoptic(t, args...)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if o.code != 0 { // a long silence costs the scan its evidence
			return fmt.Errorf("exit %d: %s", o.code, o.stderr)
		}
		s := parseHostile(t, o.stdout)
		b.used(t, parseStream(t, o.stdout))
		var wrong []string
		for i := range rows {
			if got, want := verdictOn(s, i), wantOf(b, rows, i); got != want {
				wrong = append(wrong, fmt.Sprintf("%s: %s, want %s", rows[i].Name, got, want))
			}
		}
		if len(wrong) > 0 {
			return fmt.Errorf("%d of %d rows:\n%s", len(wrong), len(rows), strings.Join(wrong, "\n"))
		}
		return nil
	})
}

// verdictOn is what the last record about a row's target says.
func verdictOn(s hostileStream, i int) string {
	all := s.records[netip.AddrPortFrom(rowAddress(i), 80)]
	if len(all) == 0 {
		return "no record"
	}
	return all[len(all)-1].String()
}

func wantOf(b backend, rows []replies.Row, i int) string {
	if b.name == "connect" {
		return rows[i].Connect
	}
	return strings.ReplaceAll(rows[i].Want, "router=target", "router="+rowAddress(i).String())
}
