package route

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
)

// Who asks for the address, and nobody else, gets an answer, and the kernel's filter agrees.
func TestAnswer(t *testing.T) {
	ours, theirs := net.HardwareAddr{2, 0, 0, 0, 0, 9}, net.HardwareAddr{2, 0, 0, 0, 0, 1}
	spoofed, asker := netip.MustParseAddr("192.0.2.66"), netip.MustParseAddr("192.0.2.1")
	number := func(a netip.Addr) uint32 { b := a.As4(); return binary.BigEndian.Uint32(b[:]) }
	request := Request(theirs, asker, spoofed)
	with := func(at int, b ...byte) []byte {
		r := append([]byte(nil), request...)
		copy(r[at:], b)
		return r
	}
	filter, err := bpf.NewVM(requestFilter(number(spoofed)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name             string
		frame            []byte
		answered, passes bool
	}{
		{"a request", request, true, true},
		{"padded by the driver", append(request[:len(request):len(request)], make([]byte, 18)...), true, true},
		{"a probe, whose sender has no address", with(arpSenderIP, 0, 0, 0, 0), true, true},
		{"to us alone", with(0, ours...), true, true},
		{"for another address", Request(theirs, asker, asker.Next()), false, false},
		{"a reply", with(arpOperation, 0, 2), false, false},
		{"an announcement of the asker's", Request(theirs, asker, asker), false, false},
		{"of another protocol", with(arpProtocol, 0x86, 0xdd), false, true},
		{"of another hardware", with(arpHardware, 0, 6), false, true},
		{"with other lengths", with(arpLengths, 8, 4), false, false},
		{"no ARP", with(12, 8, 0), false, true},
		{"from a group", with(arpSenderMAC, 1), false, true},
		{"from nobody", with(arpSenderMAC, 0, 0, 0, 0, 0, 0), false, true},
		{"from ourselves", with(arpSenderMAC, ours...), false, true},
		{"cut", request[:arpLength-1], false, false},
		{"nothing", nil, false, false},
	} {
		a := &answerer{mac: [6]byte(ours), addr: number(spoofed)}
		got := a.to(c.frame, time.Unix(1, 0))
		if (got != nil) != c.answered {
			t.Errorf("%s: %x", c.name, got)
		}
		if n, err := filter.Run(c.frame); err != nil && len(c.frame) > 0 || (n > 0) != c.passes {
			t.Errorf("%s: the filter passes %d bytes, %v", c.name, n, err)
		}
		if got == nil {
			continue
		}
		sender := binary.BigEndian.Uint32(c.frame[arpSenderIP:])
		who, mac, ok := parseReply(got, [6]byte(theirs), sender)
		if !ok || who != number(spoofed) || mac != [6]byte(ours) {
			t.Errorf("%s: the asker reads %x, %x, %v", c.name, who, mac, ok)
		}
		if want := append(append([]byte(nil), theirs...), ours...); !cmp.Equal(got[:12], want) {
			t.Errorf("%s: Ethernet %x, want %x", c.name, got[:12], want)
		}
	}
}

// Who asks without end is not answered without end.
func TestAnswerBounded(t *testing.T) {
	a := &answerer{mac: [6]byte{2, 0, 0, 0, 0, 9}, addr: 0xc0000242}
	request := Request(net.HardwareAddr{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.66"))
	for second := range int64(3) {
		given := 0
		for range 5 * mostAnswers {
			if a.to(request, time.Unix(second, 500)) != nil {
				given++
			}
		}
		if given != mostAnswers {
			t.Errorf("second %d: %d answers", second, given)
		}
	}
}
