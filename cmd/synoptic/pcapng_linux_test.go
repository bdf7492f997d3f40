package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/testnet"
)

// verdict is what a port record says about the packet that it rests on.
type verdict struct {
	TS      time.Time
	EventID string `json:"event_id"`
	IP      netip.Addr
	Port    uint16
	State   string
	Reason  string
	RTT     *int64 `json:"rtt_us"`
	Attempt int
	Iface   string
	SrcPort uint16 `json:"src_port"`
	Router  netip.Addr
}

// comment is how the record's packet must be commented.
func (v *verdict) comment() string {
	s := fmt.Sprintf("%s %d/tcp %s (%s)", v.IP, v.Port, v.State, v.Reason)
	if v.Router.IsValid() {
		s += " router " + v.Router.String()
	}
	s += fmt.Sprintf(" attempt %d", v.Attempt)
	if v.RTT != nil {
		s += fmt.Sprintf(" rtt %d us", *v.RTT)
	}
	return s + " event_id " + v.EventID
}

// verdicts are the port records of a stream, by event.
func verdicts(t *testing.T, stream []byte) (withPacket map[string]verdict, silent int) {
	t.Helper()
	withPacket = map[string]verdict{}
	for line := range bytes.Lines(stream) {
		var v verdict
		switch err := json.Unmarshal(line, &v); {
		case err != nil:
			t.Fatalf("%v: %s", err, line)
		case !v.IP.IsValid():
		case v.Reason == "no-response":
			silent++
		default:
			withPacket[v.EventID] = v
		}
	}
	return withPacket, silent
}

// answered is the probe that a frame answers: target, and source port of the probe. ok is false for what
// is no answer.
func answered(frame []byte) (target endpoint, sourcePort uint16, ok bool) {
	p, err := packet.ParseEthernet(frame)
	if err != nil {
		return target, 0, false
	}
	if p.TCP() != nil {
		return p.From(), p.To().Port(), true
	}
	q := p.Quote()
	if q == nil || q.TCP() == nil {
		return target, 0, false
	}
	return q.To(), q.From().Port(), true
}

// The evidence of a scan is what an independent capture saw, packet for packet, and a packet analyser
// that is not ours reads it without a complaint and finds each verdict by its packet.
func TestEvidence(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/26"), Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	if err := n.Reject(testnet.Match{Port: 82}, 13); err != nil {
		t.Fatal(err)
	}
	n.DropPort(83)
	dir := t.TempDir()
	file, records := filepath.Join(dir, "evidence.pcapng"), filepath.Join(dir, "records.jsonl")
	capture := n.Capture(t)
	o := synoptic(t, "scan", "10.77.0.0/26", "-p", "80-83", "--rate", "2k", "--retries", "0", "--show", "all",
		"--lanes", "3", "-o", "pcapng:"+file, "-o", records) // three lanes receive by two rings
	frames := capture.Stop()
	if o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	stream, err := os.ReadFile(records)
	if err != nil {
		t.Fatal(err)
	}
	want, silent := verdicts(t, stream)
	if len(want) != 3*64 || silent != 64 {
		t.Fatalf("%d records with a packet and %d without, want 192 and 64", len(want), silent)
	}
	onWire := map[string][]byte{} // by what it answers
	for _, f := range frames {
		if target, port, ok := answered(f.Data); ok && f.Outgoing {
			onWire[fmt.Sprint(target, port)] = f.Data
		}
	}
	kept, comments := readEvidence(t, file), tshark(t, file)
	if len(kept) != len(want) || len(comments) != len(want) {
		t.Fatalf("%d packets, %d by tshark, for %d records", len(kept), len(comments), len(want))
	}
	for i, k := range kept {
		id := comments[i][strings.LastIndex(comments[i], " ")+1:]
		v, ok := want[id]
		if !ok {
			t.Fatalf("packet %d: no record, or a second packet, for the comment %q", i+1, comments[i])
		}
		delete(want, id)
		if comments[i] != v.comment() || !k.Timestamp.Equal(v.TS) || k.iface != v.Iface {
			t.Errorf("packet %d of %v on %s: %q; its record: %v on %s, %q", i+1, k.Timestamp, k.iface, comments[i], v.TS, v.Iface, v.comment())
		}
		target, port, ok := answered(k.data)
		if !ok || target != netip.AddrPortFrom(v.IP, v.Port) || port != v.SrcPort {
			t.Errorf("packet %d answers %s, port %d, the record %s:%d, port %d", i+1, target, port, v.IP, v.Port, v.SrcPort)
		}
		if wire := onWire[fmt.Sprint(target, port)]; !bytes.Equal(k.data, wire) || k.Length != len(wire) {
			t.Errorf("packet %d, %d bytes\n% x\non the wire\n% x", i+1, k.Length, k.data, wire)
		}
	}
}

// keptPacket is a packet of an evidence file.
type keptPacket struct {
	gopacket.CaptureInfo
	iface string
	data  []byte
}

func readEvidence(t *testing.T, file string) (all []keptPacket) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("packet %d: %v", len(all)+1, err)
		}
		on, err := r.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, keptPacket{info, on.Name, data})
	}
}

// tshark reads the comments of a file's packets, and reports what it finds wrong with any of them.
func tshark(t *testing.T, file string) (comments []string) {
	t.Helper()
	read := func(args ...string) string {
		var stderr bytes.Buffer
		cmd := exec.Command(need.Program(t, "tshark"), append([]string{"-n", "-r", file}, args...)...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || strings.Contains(stderr.String(), "tshark:") {
			t.Fatalf("tshark: %v\n%s", err, stderr.String())
		}
		return string(out)
	}
	// Expert information of the severity error (PI_ERROR), or of the group malformed (PI_MALFORMED).
	if bad := read("-Y", "_ws.malformed || _ws.short || _ws.expert.severity >= 0x00800000 || _ws.expert.group == 0x07000000"); bad != "" {
		t.Errorf("tshark complains of\n%s", bad)
	}
	return strings.Split(strings.TrimSuffix(read("-T", "fields", "-e", "frame.comment"), "\n"), "\n")
}

// A second scan appends a section of its own, one that finds nothing leaves a file without packets, and
// one that is interrupted a whole file.
func TestEvidenceFiles(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24"), Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	file := filepath.Join(t.TempDir(), "evidence.pcapng")
	for _, c := range []struct {
		args    []string
		packets int // in the file afterwards
	}{
		{[]string{"10.77.0.1", "-p", "81"}, 0}, // closed ones are not shown
		{[]string{"10.77.0.1", "-p", "80"}, 1},
		{[]string{"10.77.0.1-10.77.0.2", "-p", "80", "--verify", "--show-hosts"}, 3},
		{[]string{"127.0.0.1", "-p", "1", "--show", "closed"}, 4}, // by lo, with its Ethernet header of zeros
	} {
		o := synoptic(t, append([]string{"scan", "-o", "pcapng:" + file}, c.args...)...)
		if o.code != 0 {
			t.Fatalf("%v: exit %d: %s", c.args, o.code, o.stderr)
		}
		if got := len(readEvidence(t, file)); got != c.packets {
			t.Errorf("%v: %d packets in the file, want %d", c.args, got, c.packets)
		}
	}
	if comments := tshark(t, file); len(comments) != 4 || !strings.Contains(comments[1], " verified true ") || !strings.Contains(comments[3], "127.0.0.1 1/tcp closed (rst)") {
		t.Errorf("comments %q", comments)
	}
	file += ".interrupted"
	cmd := exec.Command(program(t), "scan", "10.77.0.0/24", "-p", "80", "--rate", "50", "-q", "-o", "pcapng:"+file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(file); err == nil && info.Size() > 1000 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no evidence after a minute")
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitStopped {
		t.Errorf("exit %d, want %d", code, exitStopped)
	}
	if kept, comments := readEvidence(t, file), tshark(t, file); len(kept) == 0 || len(kept) >= 256 || len(comments) != len(kept) {
		t.Errorf("%d packets, %d by tshark, of a scan that was interrupted", len(kept), len(comments))
	}
}

// What cannot give evidence says so before anything is sent, and --backend auto does not take it.
func TestEvidenceBackends(t *testing.T) {
	n := beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	for _, c := range []choice{
		{backend: "xdp", rate: "200k", code: 2, stderr: []string{"backend xdp", "frames", "afpacket"}},
		{backend: "ebpf", rate: "200k", code: 2, stderr: []string{"backend ebpf", "frames", "afpacket"}},
		{backend: "connect", rate: "1k", code: 2, stderr: []string{"backend connect", "frames", "afpacket"}},
		{backend: "auto", rate: "200k", used: "afpacket", reason: "no XDP: an output keeps the replies' frames"},
	} {
		c.more = []string{"-o", "-", "-o", "pcapng:" + filepath.Join(t.TempDir(), "evidence.pcapng")}
		c.check(t, "10.77.0.0/28")
	}
	testnet.Run(t, "without privilege", func(t *testing.T) {
		o := unprivileged(t, "scan", "10.77.0.0/28", "-p", "80", "-o", "pcapng:/dev/null")
		if o.code != 2 || !strings.Contains(o.stderr, "frames") || !strings.Contains(o.stderr, "\nhint: ") {
			t.Errorf("exit %d, stderr %q", o.code, o.stderr)
		}
	})
}
