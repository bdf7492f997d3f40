package format

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// pcapngFile encodes records as one scan's section.
func pcapngFile(t testing.TB, s *results.ScanStart, batches ...[]results.Port) (data []byte, events []batch.Event) {
	t.Helper()
	w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) {
		for _, e := range b.Events {
			e.End += len(data)
			events = append(events, e)
		}
		data = append(data, b.Data...)
		b.Reset()
		return b, nil
	})
	e := newPcapng(w, Options{})
	errs := []error{e.Start(s)}
	for _, b := range batches {
		errs = append(errs, e.Ports(b))
	}
	errs = append(errs, e.Hosts(make([]results.Host, 2)), e.End(&results.ScanEnd{}), e.Close(), w.Flush())
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return data, events
}

func evidence() results.Port {
	return results.Port{
		Time: 0x17a1b2c3_d4e5f607, Addr: netip.MustParseAddr("10.0.0.1"), Port: 443, Reason: results.SYNACK, RTT: 213999, HasRTT: true,
		Attempt: 1, Iface: "eth0", Frame: []byte{1, 2, 3, 4, 5}, FrameLen: 60, Link: results.LinkEthernet,
	}
}

// The bytes of every block, as the draft's figures have them.
func TestPcapngBlocks(t *testing.T) {
	start := &results.ScanStart{ScanID: "c0ffee", Seed: 7, Version: "1.2"}
	r := evidence()
	got, events := pcapngFile(t, start, []results.Port{r})
	id := r.EventID("c0ffee")
	comment := "10.0.0.1 443/tcp open (syn-ack) attempt 1 rtt 213 us event_id " + id.String()
	section := "0a0d0d0a" + "LLLLLLLL" + "4d3c2b1a" + "0100" + "0000" + "ffffffffffffffff" +
		option(1, "scan_id c0ffee seed 7") + option(3, runtime.GOOS) + option(4, "synoptic 1.2") + "00000000" + "LLLLLLLL"
	iface := "01000000" + "LLLLLLLL" + "0100" + "0000" + "00010000" + option(2, "eth0") + option(9, "\x09") + "00000000" + "LLLLLLLL"
	packet := "06000000" + "LLLLLLLL" + "00000000" + "c3b2a117" + "07f6e5d4" + "05000000" + "3c000000" + "0102030405000000" +
		option(1, comment) + "00000000" + "LLLLLLLL"
	var want []byte
	for i, block := range []string{section, iface, packet} {
		length := hex.EncodeToString([]byte{byte(len(block) / 2), byte(len(block) / 512), 0, 0})
		b, err := hex.DecodeString(strings.ReplaceAll(block, "LLLLLLLL", length))
		if err != nil {
			t.Fatal(err)
		}
		if want = append(want, b...); i >= len(events) || events[i].End != len(want) {
			t.Errorf("events %+v, want one to end at %d", events, len(want))
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", hex.Dump(got), hex.Dump(want))
	}
	if n := (&batch.Batch{Events: events}).Records(); n != 2+3 || events[0].Records != 1 || events[1].Records != 0 || events[2].Records != 1 || events[2].Time != r.Time {
		t.Errorf("%d records in events %+v", n, events)
	}
}

// option is one in hex, padded.
func option(code byte, value string) string {
	b := append([]byte{code, 0, byte(len(value)), 0}, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return hex.EncodeToString(b)
}

// What the verdict says of every kind of answer.
func TestPcapngVerdicts(t *testing.T) {
	change := func(f func(*results.Port)) results.Port { r := evidence(); f(&r); return r }
	for want, r := range map[string]results.Port{
		"10.0.0.1 443/tcp closed (rst) attempt 3": change(func(r *results.Port) { r.Reason, r.HasRTT, r.Attempt = results.RST, false, 3 }),
		"10.0.0.1 443/tcp filtered (icmp-admin-prohibited) router 10.9.9.9 attempt 1 rtt 213 us": change(func(r *results.Port) {
			r.Reason, r.Router = results.ICMPAdminProhibited, netip.MustParseAddr("10.9.9.9")
		}),
		"10.0.0.1 443/tcp unreachable (icmp-host-unreachable) attempt 1 rtt 213 us":   change(func(r *results.Port) { r.Reason = results.ICMPHostUnreachable }),
		"10.0.0.1 443/tcp open (syn-ack) attempt 1 rtt 0 us":                          change(func(r *results.Port) { r.RTT = -1 }),
		"10.0.0.1 443/tcp open (syn-ack) attempt 1 rtt 213 us suspect synack-all":     change(func(r *results.Port) { r.Suspect = results.SYNACKAll }),
		"10.0.0.1 443/tcp open (syn-ack) attempt 1 rtt 213 us verified false":         change(func(r *results.Port) { r.Verified = results.VerifyFalse }),
		"2001:db8::1 443/tcp open (syn-ack) attempt 1 rtt 213 us suspect win0-noopts": change(func(r *results.Port) { r.Addr, r.Suspect = netip.MustParseAddr("2001:db8::1"), results.Win0NoOpts }),
		"10.0.0.1 443/tcp open (syn-ack) attempt 1 rtt 213 us":                        change(func(r *results.Port) { r.Hostname, r.Service, r.Banner = "\x1b[31m", "x", []byte{0} }),
	} {
		data, _ := pcapngFile(t, &results.ScanStart{ScanID: "s"}, []results.Port{r})
		if verdict := want + " event_id " + r.EventID("s").String(); !bytes.Contains(data, []byte(verdict)) {
			t.Errorf("no %q in\n%s", verdict, hex.Dump(data))
		}
	}
}

// gopacket, which shares no code with the encoder, reads back what was written: two scans in one file,
// interfaces of two kinds, frames of every length.
func TestPcapngIsReadBack(t *testing.T) {
	var all []results.Port
	for n := range 2 * results.MaxFrame {
		r := evidence()
		r.Time += int64(n) * 1e9 / 3
		r.Frame = bytes.Repeat([]byte{byte(n)}, min(n, results.MaxFrame))
		r.FrameLen = uint32(n)
		r.Addr = netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
		switch n % 4 {
		case 1:
			r.Iface, r.Link = "tun0", results.LinkRaw
		case 2:
			r.Iface = "eth1"
		case 3:
			r.Iface, r.Link = "eth1", results.LinkRaw // a name that is used again for another interface
		}
		all = append(all, r)
	}
	silent := results.Port{Addr: netip.MustParseAddr("10.0.0.1"), Reason: results.NoResponse}
	var file []byte
	var events []batch.Event
	for scan := range 2 {
		var data []byte
		data, events = pcapngFile(t, &results.ScanStart{ScanID: "scan", Seed: uint64(scan), Version: "1"}, all[:100], []results.Port{silent}, all[100:])
		file = append(file, data...)
	}
	// Those without a packet are not waited for either: the two of the scan, two hosts, and the silent port.
	if n, want := (&batch.Batch{Events: events}).Records(), uint64(len(all)+5); n != want {
		t.Errorf("%d records, want %d", n, want)
	}
	var sections []pcapgo.NgSectionInfo
	interfaces := 0
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{
		WantMixedLinkType: true,
		SectionEndCallback: func(i []pcapgo.NgInterface, s pcapgo.NgSectionInfo) {
			interfaces = len(i)
			sections = append(sections, s)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantType := map[results.LinkType]layers.LinkType{results.LinkEthernet: layers.LinkTypeEthernet, results.LinkRaw: layers.LinkTypeRaw}
	read := 0
	for ; ; read++ {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("packet %d: %v", read, err)
		}
		want := &all[1+read%(len(all)-1)] // the first is empty: no frame
		on, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, want.Frame) || ci.Length != int(want.FrameLen) || !ci.Timestamp.Equal(time.Unix(0, want.Time)) ||
			on.Name != want.Iface || on.LinkType != wantType[want.Link] || on.SnapLength != results.MaxFrame || on.TimestampResolution != 9 {
			t.Fatalf("packet %d: %+v on %+v, % x; want %+v", read, ci, on, data, want)
		}
	}
	if want := 2 * (len(all) - 1); read != want {
		t.Errorf("%d packets, want %d", read, want)
	}
	last := r.SectionInfo()
	if len(sections) != 1 || interfaces != 4 || sections[0].Comment != "scan_id scan seed 0" || last.Comment != "scan_id scan seed 1" ||
		last.Application != "synoptic 1" || last.OS != runtime.GOOS || last.Hardware != "" {
		t.Errorf("sections %+v, then %+v; %d interfaces", sections, last, interfaces)
	}
}

// pcapngBatch is evidence for one batch, and an encoder that has room for it.
func pcapngBatch(t testing.TB) (Encoder, []results.Port) {
	w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) { b.Reset(); return b, nil })
	e := newPcapng(w, Options{})
	if err := e.Start(&results.ScanStart{ScanID: "0123456789abcdef0123456789abcdef"}); err != nil {
		t.Fatal(err)
	}
	batch := make([]results.Port, 256)
	for i := range batch {
		batch[i] = evidence()
		batch[i].Port, batch[i].Frame = uint16(i), make([]byte, 60)
	}
	for range 20 { // its buffers grow to what they need
		if err := e.Ports(batch); err != nil {
			t.Fatal(err)
		}
	}
	return e, batch
}

func TestPcapngDoesNotAllocate(t *testing.T) {
	e, batch := pcapngBatch(t)
	if a := testing.AllocsPerRun(100, func() { _ = e.Ports(batch) }); a != 0 {
		t.Errorf("%v allocations for %d packets", a, len(batch))
	}
}

func BenchmarkPcapng(b *testing.B) {
	e, batch := pcapngBatch(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Ports(batch[:1])
	}
}
