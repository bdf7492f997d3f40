package format

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/gopacket/pcapgo"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// hostile is a scan whose records say whatever somebody wants them to: a file that convert was given, names and
// banners from outside.
type hostile struct {
	start  results.ScanStart
	ports  []results.Port
	events []results.Event
	hosts  []results.Host
	end    results.ScanEnd
}

// readHostile takes what the reader lets pass of some lines, as one scan.
func readHostile(in []byte) hostile {
	h := hostile{start: results.ScanStart{ScanID: testScanID}, end: results.ScanEnd{ScanID: testScanID}}
	r := results.NewReader(bytes.NewReader(in))
	for into := new(results.Records); ; {
		err := r.Read(into)
		if _, again := errors.AsType[*results.LineError](err); again {
			continue
		} else if err != nil {
			return h
		}
		switch {
		case into.Start != nil:
			h.start = *into.Start
		case into.End != nil:
			h.end = *into.End
		}
		for _, p := range into.Ports {
			p.Banner = slices.Clone(p.Banner)
			h.ports = append(h.ports, p)
		}
		for _, host := range into.Hosts {
			host.Open = slices.Clone(host.Open)
			h.hosts = append(h.hosts, host)
		}
		h.events = append(h.events, into.Events...)
	}
}

// notices are changes with the texts of the ports.
func (h *hostile) notices() (all []results.Notice) {
	for i := range h.ports {
		p := &h.ports[i]
		all = append(all, &results.Change{ScanID: h.start.ScanID, Change: results.ChangeOpened, Addr: p.Addr, Port: p.Port, Hostname: p.Hostname, Vantage: p.Hostname, Service: p.Service + string(p.Banner), ServiceBefore: string(p.Banner), Tags: p.Tags})
	}
	return all
}

// write is all of it in one format, and how many events have bytes.
func (h *hostile) write(t testing.TB, name string) (out string, events int) {
	t.Helper()
	w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) {
		for i := range b.Events {
			if len(b.Event(i)) > 0 {
				events++
			}
		}
		out += string(b.Data)
		b.Reset()
		return b, nil
	})
	e := formats[name].New(w, Options{Fresh: true, Hostname: "scan01"})
	start, end := h.start, h.end
	for _, err := range []error{e.Start(&start), e.Ports(h.ports), e.Events(h.events), e.Notices(h.notices()), e.Hosts(h.hosts), e.End(&end), w.Flush(), e.Close()} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return out, events
}

// complaints says what is wrong with an output: each can be read by who knows nothing of our records, has the records
// that it should have, and, where lines are records, each on one line.
var complaints = map[string]func(h *hostile, out string, events int) error{
	"jsonl": func(h *hostile, out string, events int) error {
		return jsonObjects(out, events, 2+len(h.ports)+len(h.events)+len(h.hosts)+len(h.notices()))
	},
	"ecs": func(h *hostile, out string, events int) error {
		return jsonObjects(out, events, 2+len(h.ports)+len(h.events)+len(h.hosts)+len(h.notices()))
	},
	"ocsf": func(_ *hostile, out string, events int) error { return jsonObjects(out, events, events) },
	"csv": func(h *hostile, out string, _ int) error {
		rows, err := csv.NewReader(strings.NewReader(out)).ReadAll() // of as many fields as the first
		if lines := strings.Count(out, "\n"); err == nil && (len(rows) != 1+len(h.ports) || lines != len(rows)) {
			err = fmt.Errorf("%d rows on %d lines for %d ports", len(rows), lines, len(h.ports))
		}
		return err
	},
	"table": func(h *hostile, out string, _ int) error {
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if len(lines) < 2 || lines[0][:2]+lines[len(lines)-1][:2] != "# # " || strings.ContainsFunc(strings.Join(lines, ""), unicode.IsControl) {
			return fmt.Errorf("%d lines, or a control character", len(lines))
		}
		for _, line := range lines {
			address, _, _ := strings.Cut(line, " ")
			if _, err := netip.ParseAddr(address); err != nil && address != "ADDRESS" && address != "#" {
				return fmt.Errorf("line %q", line)
			}
		}
		return nil
	},
	"list": func(h *hostile, out string, _ int) error {
		want := 0
		for i := range h.ports {
			if h.ports[i].Reason.State() == results.Open {
				want++
			}
		}
		n := 0
		for line := range strings.Lines(out) {
			if _, err := netip.ParseAddrPort(strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
			n++
		}
		if n != want {
			return fmt.Errorf("%d lines for %d open ports", n, want)
		}
		return nil
	},
	"grepable":     grepableLines,
	"masscan-list": masscanLines,
	"masscan-json": func(h *hostile, out string, _ int) error {
		var all []struct {
			IP    netip.Addr
			Ports []struct {
				Service *struct{ Name, Banner string }
			}
		}
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			return err
		}
		if want := masscanRecords(h); len(all) != want || !utf8.ValidString(out) {
			return fmt.Errorf("%d records, want %d", len(all), want)
		}
		return nil
	},
	"nmap-xml": func(_ *hostile, out string, _ int) error { return xmlTokens(out) },
	"pcapng": func(h *hostile, out string, _ int) error {
		r, err := pcapgo.NewNgReader(strings.NewReader(out), pcapgo.NgReaderOptions{WantMixedLinkType: true})
		packets, want := 0, 0
		for ; err == nil; packets++ {
			_, _, err = r.ReadPacketData()
		}
		for i := range h.ports {
			if len(h.ports[i].Frame) > 0 {
				want++
			}
		}
		if !errors.Is(err, io.EOF) && want > 0 || max(packets-1, 0) != want {
			return fmt.Errorf("%d packets, want %d: %w", packets-1, want, err)
		}
		return nil
	},
}

// jsonObjects holds every line to be one JSON object in UTF-8.
func jsonObjects(out string, events, want int) error {
	lines := strings.SplitAfter(out, "\n")
	lines = lines[:len(lines)-1]
	if events != want || len(lines) != events || !utf8.ValidString(out) {
		return fmt.Errorf("%d events on %d lines, want %d; UTF-8 %v", events, len(lines), want, utf8.ValidString(out))
	}
	for _, line := range lines {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			return fmt.Errorf("%w: %s", err, line)
		}
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' }) {
			return fmt.Errorf("a control character: %q", line)
		}
	}
	return nil
}

var grepableHost = regexp.MustCompile(`^Host: ([0-9A-Za-z.:%@_-]+) \(.*\)\t(Status: (?:Up|Down)|Ports: (.*?)(?:\tIgnored State: [a-z]+ \([0-9]+\))?)$`)

func grepableLines(h *hostile, out string, _ int) error {
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for i, line := range lines {
		m := grepableHost.FindStringSubmatch(line)
		switch {
		case i == 0 || i == len(lines)-1:
			if !strings.HasPrefix(line, "# Synoptic ") {
				return fmt.Errorf("line %d is no remark: %q", i, line)
			}
		case m == nil:
			return fmt.Errorf("line %d is of no host: %q", i, line)
		case strings.HasPrefix(m[2], "Ports: ") && m[3] != "":
			for _, entry := range strings.Split(m[3], ", ") {
				if strings.Count(entry, "/") != 7 {
					return fmt.Errorf("%q is no port: %q", entry, line)
				}
			}
		}
	}
	return nil
}

var masscanLine = regexp.MustCompile(`^(open|closed) tcp [0-9]+ [0-9A-Za-z.:%@_-]+ -?[0-9]+$|^banner tcp [0-9]+ [0-9A-Za-z.:%@_-]+ -?[0-9]+ [a-z0-9-]+ [ -~]*$`)

func masscanLines(h *hostile, out string, _ int) error {
	want := masscanRecords(h)
	if want == 0 && out == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != want+2 || lines[0] != "#masscan" || lines[len(lines)-1] != "# end" {
		return fmt.Errorf("%d lines, want %d and two: %q", len(lines), want, out)
	}
	for _, line := range lines[1 : len(lines)-1] {
		if !masscanLine.MatchString(line) {
			return fmt.Errorf("line %q", line)
		}
	}
	return nil
}

// masscanRecords is one for each port that masscan has words for, and one for its banner.
func masscanRecords(h *hostile) (n int) {
	for i := range h.ports {
		if _, _, ok := masscanWords(h.ports[i].Reason); ok {
			n++
			if len(h.ports[i].Banner) > 0 {
				n++
			}
		}
	}
	return n
}

// hostileTexts are names and banners that mean something in one format or another.
var hostileTexts = []string{
	"", "plain", "a\nHost: 10.0.0.9 ()\tPorts: 1/open/tcp//x///", "x/open/tcp//y///, 81/open", "\r\n\t\x00\x1b[2J\x7f", `"},{"a":"b`, `",",","`, `=cmd|' /C calc'!A0`, "a,b\"c\"\nd", "\xff\xfe", "\u2028\u0085é€😀",
	"<script>&amp;]]>", "banner tcp 1 10.0.0.9 1 x y\n# end", strings.Repeat("\\", 300), strings.Repeat("\"", 1000), `\`, `\u0000`, "'; drop table", "%s%n", "#masscan", "a b", "\ufffe\uffff",
}

// FuzzHostileRecords: whatever records say, every format that is made of them can be read.
func FuzzHostileRecords(f *testing.F) {
	line := func(p results.Port) []byte { return append(p.AppendJSON(nil, testScanID), '\n') }
	for i, text := range hostileTexts {
		p := samplePort
		p.Hostname, p.Service, p.Iface, p.Banner = text, text, text, []byte(text)
		p.ServiceSource, p.Port = results.ServiceSource(i%4), uint16(1+i)
		h := sampleHost
		h.Hostname = text
		e := sampleEvent
		e.Iface, e.Cause, e.Message = text, text, text
		s := results.ScanStart{ScanID: testScanID, Version: text, Scanner: text, Args: []string{text, text}, Source: text, Iface: text}
		end := results.ScanEnd{ScanID: testScanID, Error: text, Scanner: text}
		in, err := s.AppendJSON(nil)
		if err != nil {
			f.Fatal(err)
		}
		in = slices.Concat(append(in, '\n'), line(p), h.AppendJSON(nil, testScanID), []byte("\n"), e.AppendJSON(nil, testScanID), []byte("\n"))
		if in, err = end.AppendJSON(in); err != nil {
			f.Fatal(err)
		}
		f.Add(in, text)
	}
	p := samplePort
	good := string(line(p))
	for _, addr := range []string{"fe80::1%eth0", "fe80::1%\"", "fe80::1%a b", "fe80::1%\\n", "::ffff:10.0.0.1", "0.0.0.0", "fe80::1%<&>", "fe80::1%é,\\u0000"} {
		f.Add([]byte(strings.ReplaceAll(good, `"10.20.3.7"`, `"`+addr+`"`)), addr)
		f.Add([]byte(strings.ReplaceAll(good, `"10.0.0.5"`, `"`+addr+`"`)), addr)
	}
	f.Add([]byte(strings.Replace(good, `"tags":{`, `"tags":{"k":"`+`\"},{\"x`+`",`, 1)), "tags")
	f.Add([]byte(strings.Replace(good, `"open"`, `"filtered"`, 1)+good+good), "again")
	f.Fuzz(func(t *testing.T, in []byte, text string) {
		h := readHostile(in)
		// What no file can bring about, a network might: bytes that are no UTF-8, frames.
		h.ports = append(h.ports, results.Port{
			Addr: netip.MustParseAddr("10.0.0.1"), Port: 80, Reason: results.SYNACK, Hostname: text, Service: text, Iface: text, ServiceSource: results.ServiceBanner, Banner: []byte(text),
		})
		for i := range h.ports {
			p := &h.ports[i]
			p.Frame, p.FrameLen, p.Link = p.Banner[:min(len(p.Banner), results.MaxFrame)], uint32(len(p.Banner)), results.LinkType(i%2)
		}
		for name := range formats {
			out, events := h.write(t, name)
			if err := complaints[name](&h, out, events); err != nil {
				t.Errorf("%s: %v\n%.2000q", name, err, out)
			}
		}
	})
}

// Every format is held against hostile records, and what is wrong with one shows.
func TestHostileChecksFindFaults(t *testing.T) {
	for name := range formats {
		if complaints[name] == nil {
			t.Errorf("nothing reads %s", name)
		}
	}
	h := hostile{start: results.ScanStart{ScanID: testScanID}, end: results.ScanEnd{ScanID: testScanID}, ports: []results.Port{{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80, Reason: results.SYNACK, Banner: []byte("x"), Frame: []byte("x")}}}
	for name, fault := range map[string][2]string{
		"jsonl": {`"port":80`, "\"port\":\n80"}, "ecs": {`"ip":"10.0.0.1"`, `"ip":"10.0.0."1"`}, "ocsf": {`"port":80`, `"port":080`}, "csv": {"10.0.0.1,80,", "10.0.0.1,\"80\n\","},
		"table": {"80  open", "80\nopen"}, "list": {":80", ":80 "},
		"grepable": {"80/open", "80/open/x"}, "masscan-list": {"banner tcp", "banner udp"}, "masscan-json": {`"banner": "x"`, `"banner": "x""`}, "nmap-xml": {"<port ", "<port <"}, "pcapng": {"\x06\x00\x00\x00", "\x07\x00\x00\x00"},
	} {
		out, events := h.write(t, name)
		if err := complaints[name](&h, out, events); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		broken := strings.Replace(out, fault[0], fault[1], 1)
		if err := complaints[name](&h, broken, events); err == nil || broken == out {
			t.Errorf("%s: %q instead of %q goes unnoticed", name, fault[1], fault[0])
		}
	}
}
