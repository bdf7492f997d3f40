package rawsock

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/bpf"

	"synoptic/bench/lab/replies"
	"synoptic/scan/probe"
)

// filterPair is the kernel's filter beside the parser in Go: what is a genuine reply to the parser, the filter must pass,
// and keep enough of.
type filterPair struct {
	key     probe.Key
	filters []*bpf.VM // the same, on the socket types
	headers []int     // before the packet, of each
	genuine int       // packets so far
}

func newFilterPair(t testing.TB) *filterPair {
	t.Helper()
	d := &filterPair{key: probe.Key{K0: 1, K1: 2}, headers: []int{0, etherHeader}}
	for _, header := range d.headers {
		vm, err := bpf.NewVM(behind(uint32(header), replyFilter(testPortMin, testPortMax, MinSnap+header)))
		if err != nil {
			t.Fatal(err)
		}
		d.filters = append(d.filters, vm)
	}
	return d
}

// table gives the packets of the table of replies, from the IP header on, as the network layer gets them.
func (d *filterPair) table(t testing.TB) (packets map[string][]byte) {
	t.Helper()
	src, dst := netip.MustParseAddr("10.76.0.1"), netip.MustParseAddr("10.77.3.4")
	tmpl, err := probe.NewTemplate(probe.TemplateConfig{Ethernet: true, SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, Src: src})
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, tmpl.Len())
	tmpl.Fill(frame)
	tmpl.Patch(frame, dst, testPortMin+1, 443, d.key.Hash(src, dst, testPortMin+1, 443))
	packets = map[string][]byte{}
	for _, row := range replies.Table() {
		for _, frame := range row.Frames(replies.Read(frame)) {
			for len(frame) >= 18 && (binary.BigEndian.Uint16(frame[12:]) == 0x8100 || binary.BigEndian.Uint16(frame[12:]) == 0x88a8) {
				frame = slices.Delete(frame, 12, 16)
			}
			packets[row.Name] = frame[14:]
		}
	}
	return packets
}

// check runs one packet through both.
func (d *filterPair) check(t testing.TB, packet []byte) {
	t.Helper()
	var want probe.Reply
	if probe.Parse(packet, &want) != probe.Accepted || !d.key.Genuine(&want) || want.LocalPort < testPortMin || want.LocalPort > testPortMax {
		return
	}
	d.genuine++
	for i, vm := range d.filters {
		header := d.headers[i]
		kept, err := vm.Run(append(make([]byte, header), packet...))
		if err != nil || kept == 0 {
			t.Fatalf("behind a header of %d bytes: a genuine reply is dropped (%v): % x", header, err, packet)
		}
		var got probe.Reply
		if v := probe.Parse(packet[:min(kept-header, len(packet))], &got); v != probe.Accepted || got != want {
			t.Fatalf("of %d bytes kept: %v, %+v, want %+v, of % x", kept, v, got, want, packet)
		}
	}
}

// Whatever the parser takes with a genuine cookie, the filter passes: every reply of the table, and a million more that are
// made of them.
func TestFilterPassesWhatTheParserTakes(t *testing.T) {
	d := newFilterPair(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var rows [][]byte
	for _, packet := range d.table(t) {
		d.check(t, packet)
		rows = append(rows, packet)
	}
	slices.SortFunc(rows, slices.Compare)
	if d.genuine < 60 {
		t.Fatalf("%d genuine replies in the table", d.genuine)
	}
	total := 1_000_000
	if testing.Short() {
		total = 100_000
	}
	for range total {
		d.check(t, mutate(rng, rows[rng.IntN(len(rows))]))
	}
	if d.genuine < total/20 {
		t.Errorf("%d of %d packets are genuine: too few to show anything", d.genuine, total)
	}
}

// mutate changes a packet at a few places of its headers, and its length.
func mutate(rng *rand.Rand, packet []byte) []byte {
	b := slices.Clone(packet)
	for range 1 + rng.IntN(3) {
		if len(b) == 0 {
			break
		}
		switch rng.IntN(8) {
		case 0: // the length of the header, and bytes put in for it
			if n := 4 * rng.IntN(11); len(b) >= 20 {
				b = slices.Insert(b, 20, make([]byte, n)...)
				b[0] = 0x40 | byte(int(b[0]&15)+n/4)&15
				binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			}
		case 1:
			b = b[:rng.IntN(len(b)+1)]
		case 2:
			b = append(b, make([]byte, rng.IntN(200))...)
		case 3, 4: // fragment bits, inside or outside
			if at := []int{6, 34}[rng.IntN(2)]; len(b) > at+1 {
				binary.BigEndian.PutUint16(b[at:], uint16(rng.Uint32()))
			}
		case 5: // the quotation's other fields
			if len(b) > 48 {
				b[28+rng.IntN(20)] = byte(rng.Uint32())
			}
		case 6:
			b[rng.IntN(min(len(b), 80))] ^= 1 << rng.IntN(8)
		default:
			b[rng.IntN(min(len(b), 80))] = byte(rng.Uint32())
		}
	}
	return b
}

func FuzzFilterAgainstParser(f *testing.F) {
	d := newFilterPair(f)
	for _, packet := range d.table(f) {
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) { d.check(t, packet) })
}
