package route

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// attribute is a struct rtattr with its value, padded.
func attribute(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// linkMessage is a struct ifinfomsg and attributes.
func linkMessage(family byte, index, flags uint32, attributes ...[]byte) []byte {
	b := binary.NativeEndian.AppendUint32([]byte{family, 0, 0, 0}, index)
	b = binary.NativeEndian.AppendUint32(b, flags)
	return append(binary.NativeEndian.AppendUint32(b, 0), slices.Concat(attributes...)...)
}

// What the kernel says once more, in part, or of something else than it seems is no news.
func TestNews(t *testing.T) {
	const on = unix.IFF_UP | unix.IFF_LOWER_UP | unix.IFF_RUNNING
	name, up := attribute(unix.IFLA_IFNAME, 'e', '0', 0), attribute(unix.IFLA_OPERSTATE, 6)
	dropped := attribute(unix.IFLA_STATS64, binary.NativeEndian.AppendUint64(make([]byte, 56), 7)...)
	addr := append([]byte{unix.AF_INET, 24, 0, 0, 5, 0, 0, 0}, attribute(unix.IFA_LOCAL, 10, 0, 0, 1)...)
	neighbour := func(state byte, mac ...byte) []byte {
		b := append([]byte{unix.AF_INET, 0, 0, 0, 5, 0, 0, 0, state, 0, 0, 0}, attribute(unix.NDA_DST, 10, 0, 0, 2)...)
		if mac != nil {
			b = append(b, attribute(unix.NDA_LLADDR, mac...)...)
		}
		return b
	}
	n := newNews()
	for i, c := range []struct {
		kind uint16
		data []byte
		want ChangeKind // none: no news
	}{
		{unix.RTM_NEWLINK, linkMessage(0, 5, on, name, up, dropped), LinkNew},
		{unix.RTM_NEWLINK, linkMessage(0, 5, on, name, up), ""},
		{unix.RTM_NEWLINK, linkMessage(0, 5, on), ""},                                             // as the wireless extensions' messages
		{unix.RTM_NEWLINK, linkMessage(unix.AF_BRIDGE, 5, 0, name), ""},                           // a port of a bridge
		{unix.RTM_DELLINK, linkMessage(unix.AF_BRIDGE, 5, 0, name), ""},                           // is one no more
		{unix.RTM_NEWLINK, linkMessage(0, 5, on, attribute(unix.IFLA_OPERSTATE, 2)), CarrierLost}, // the driver has it, the kernel not yet
		{unix.RTM_NEWLINK, linkMessage(0, 5, on, up), CarrierBack},
		{unix.RTM_NEWLINK, linkMessage(0, 5, unix.IFF_UP, up), CarrierLost},
		{unix.RTM_NEWLINK, linkMessage(0, 5, 0, up), LinkDown},
		{unix.RTM_NEWLINK, linkMessage(0, 5, on, up), LinkUp},
		{unix.RTM_NEWLINK, linkMessage(0, 5, on, attribute(unix.IFLA_ADDRESS, 2, 0, 0, 0, 0, 1)), LinkAddress},
		{unix.RTM_NEWLINK, linkMessage(0, 5, on, attribute(unix.IFLA_IFNAME, 'e', '1', 0)), LinkNew},
		{unix.RTM_NEWADDR, addr, AddressAdded},
		{unix.RTM_NEWADDR, addr, ""}, // its lifetime is renewed
		{unix.RTM_DELADDR, addr, AddressRemoved},
		{unix.RTM_NEWADDR, addr, AddressAdded},
		{unix.RTM_NEWNEIGH, neighbour(unix.NUD_INCOMPLETE), ""},
		{unix.RTM_NEWNEIGH, neighbour(unix.NUD_REACHABLE, oldMAC[:]...), ""}, // the first one
		{unix.RTM_NEWNEIGH, neighbour(unix.NUD_STALE, oldMAC[:]...), ""},
		{unix.RTM_NEWNEIGH, neighbour(unix.NUD_STALE, newMAC[:]...), NeighbourChanged},
		{unix.RTM_NEWNEIGH, neighbour(unix.NUD_FAILED), NeighbourFailed},
		{unix.RTM_NEWNEIGH, neighbour(unix.NUD_FAILED), ""},
		{unix.RTM_NEWNEIGH, neighbour(unix.NUD_INCOMPLETE), ""},
		{unix.RTM_NEWNEIGH, neighbour(unix.NUD_REACHABLE, newMAC[:]...), ""}, // as before it failed
		{unix.RTM_NEWNEIGH, neighbour(unix.NUD_REACHABLE, oldMAC[:]...), NeighbourChanged},
		{unix.RTM_DELNEIGH, neighbour(unix.NUD_STALE, oldMAC[:]...), ""},
		{unix.RTM_NEWNEIGH, neighbour(unix.NUD_REACHABLE, newMAC[:]...), ""}, // there is nothing to compare with
		{unix.RTM_NEWROUTE, append([]byte{unix.AF_INET, 8, 11: 0}, attribute(unix.RTA_DST, 10, 0, 0, 0)...), RouteChanged},
		{unix.RTM_NEWROUTE, append(binary.NativeEndian.AppendUint32([]byte{unix.AF_INET6, 128, 7: 0}, unix.RTM_F_CLONED), attribute(unix.RTA_DST, make([]byte, 16)...)...), ""},
		{unix.RTM_DELLINK, linkMessage(0, 5, 0), LinkGone},
	} {
		var kinds []ChangeKind
		for _, change := range n.read(c.kind, c.data) {
			kinds = append(kinds, change.Kind)
			if c.kind == unix.RTM_NEWLINK && change.TxDropped != 7 {
				t.Errorf("%d: %d dropped", i, change.TxDropped)
			}
		}
		if c.want == "" && len(kinds) != 0 || c.want != "" && !slices.Equal(kinds, []ChangeKind{c.want}) {
			t.Errorf("%d: %v, want %q", i, kinds, c.want)
		}
	}
	if len(n.links) != 0 || len(n.addresses) != 1 || len(n.neighbours) != 1 {
		t.Errorf("remembered: %v, %v, %v", n.links, n.addresses, n.neighbours)
	}
}

// A carrier that was lost and is back before the kernel has told of it is news by the kernel's count only.
func TestNewsOfFlaps(t *testing.T) {
	const on = unix.IFF_UP | unix.IFF_LOWER_UP | unix.IFF_RUNNING
	name, up, down := attribute(unix.IFLA_IFNAME, 'e', '0', 0), attribute(unix.IFLA_OPERSTATE, 6), attribute(unix.IFLA_OPERSTATE, 2)
	falls := func(n uint32) []byte {
		return attribute(unix.IFLA_CARRIER_DOWN_COUNT, binary.NativeEndian.AppendUint32(nil, n)...)
	}
	flap := []ChangeKind{CarrierLost, CarrierBack}
	n := newNews()
	for i, c := range []struct {
		data []byte
		want []ChangeKind
	}{
		{linkMessage(0, 5, on, name, up), []ChangeKind{LinkNew}},
		{linkMessage(0, 5, on, up, falls(3)), nil}, // the first count
		{linkMessage(0, 5, on, up), nil},
		{linkMessage(0, 5, on, up, falls(4)), flap},
		{linkMessage(0, 5, on, up, falls(4)), nil},
		{linkMessage(0, 5, on, down, falls(5)), []ChangeKind{CarrierLost}},
		{linkMessage(0, 5, on, up, falls(6)), []ChangeKind{CarrierBack}}, // and had it for a moment in between
		{linkMessage(0, 5, on, down, falls(8)), append(flap, CarrierLost)},
		{linkMessage(0, 5, on, up, falls(8)), []ChangeKind{CarrierBack}},
		{linkMessage(0, 5, 0, down, falls(9)), []ChangeKind{LinkDown}},
		{linkMessage(0, 5, on, up, falls(9)), []ChangeKind{LinkUp}},
	} {
		var kinds []ChangeKind
		for _, change := range n.read(unix.RTM_NEWLINK, c.data) {
			kinds = append(kinds, change.Kind)
			if lost := change.Kind == CarrierLost; lost && change.Carrier || change.Kind == CarrierBack && !change.Carrier {
				t.Errorf("%d: %+v", i, change)
			}
		}
		if !slices.Equal(kinds, c.want) {
			t.Errorf("%d: %v, want %v", i, kinds, c.want)
		}
	}
}

// Messages that are cut or absurd say nothing, and break nothing.
func FuzzNews(f *testing.F) {
	f.Add(uint16(unix.RTM_NEWLINK), make([]byte, 16))
	for _, attribute := range []byte{unix.IFLA_IFNAME, unix.IFLA_OPERSTATE, unix.IFLA_ADDRESS, unix.IFLA_CARRIER_DOWN_COUNT, unix.IFLA_STATS64} { // without a value, and without an end
		f.Add(uint16(unix.RTM_NEWLINK), append(make([]byte, unix.SizeofIfInfomsg), 4, 0, attribute, 0))
		f.Add(uint16(unix.RTM_NEWLINK), append(make([]byte, unix.SizeofIfInfomsg), 8, 0, attribute, 0, 48, 48, 48, 48))
	}
	f.Add(uint16(unix.RTM_NEWROUTE), append(append(make([]byte, 12), 8, 0, byte(unix.RTA_OIF), 0), 1, 2, 3, 4))
	f.Add(uint16(unix.RTM_NEWNEIGH), append([]byte{unix.AF_INET, 11: 0}, 6, 0, byte(unix.NDA_LLADDR), 0, 1, 2, 0, 0))
	f.Add(uint16(unix.RTM_NEWADDR), append(make([]byte, 8), 8, 0, byte(unix.IFA_LOCAL), 0, 10, 0, 0, 1))
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		n := newNews()
		for range 2 {
			for _, c := range n.read(kind, data) {
				if c.Kind == "" {
					t.Errorf("%+v", c)
				}
			}
		}
		if again := n.read(kind, data); len(again) > 0 && kind != unix.RTM_NEWROUTE && kind != unix.RTM_DELROUTE && kind != unix.RTM_NEWRULE && kind != unix.RTM_DELRULE &&
			kind != unix.RTM_NEWNEXTHOP && kind != unix.RTM_DELNEXTHOP && kind != unix.RTM_DELADDR && kind != unix.RTM_DELLINK {
			t.Errorf("the same again is news: %+v", again)
		}
	})
}
