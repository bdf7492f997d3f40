package route

import (
	"net/netip"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// A table after some updates is a map.
func TestTableUpdates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := rapid.Custom(func(t *rapid.T) netip.Addr { return addr4(0x0a4d0000 + rapid.Uint32Range(0, 200).Draw(t, "host")) })
		mac := rapid.Custom(func(t *rapid.T) [6]byte { return [6]byte{2, 0, 0, 0, 0, rapid.Byte().Draw(t, "mac")} })
		hosts := rapid.MapOf(addr, mac)
		want := hosts.Draw(t, "table")
		tab, err := NewTable(want)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 5).Draw(t, "updates") {
			changes := hosts.Draw(t, "changes")
			if err := tab.Update(changes); err != nil {
				t.Fatal(err)
			}
			for a, mac := range changes {
				want[a] = mac
			}
		}
		if tab.Len() != len(want) || len(tab.now.Load().slots) < 2*tab.Len() {
			t.Fatalf("%d entries in %d slots, want %d", tab.Len(), len(tab.now.Load().slots), len(want))
		}
		for i := range uint32(202) {
			a := addr4(0x0a4d0000 + i)
			mac, ok := tab.MAC(a)
			if w, known := want[a]; ok != known || mac != w {
				t.Fatalf("%v: % x %v, want % x %v", a, mac, ok, w, known)
			}
		}
	})
	tab, err := NewTable(nil)
	if err != nil {
		t.Fatal(err)
	}
	if tab.Update(map[netip.Addr][6]byte{netip.IPv6Loopback(): {2}}) == nil || tab.Len() != 0 {
		t.Error("an IPv6 address was taken")
	}
}

// Readers see each host's address before or after an update, and never none or a mixture.
func TestTableUpdateWhileRead(t *testing.T) {
	a, b := netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.0.2")
	version := func(i byte) map[netip.Addr][6]byte {
		mac := [6]byte{2, i, i, i, i, i}
		return map[netip.Addr][6]byte{a: mac, b: mac}
	}
	tab, err := NewTable(version(0))
	if err != nil {
		t.Fatal(err)
	}
	var hop NextHop
	hop.Store([6]byte{2})
	whole := func(mac [6]byte) bool { return mac == [6]byte{2, mac[1], mac[1], mac[1], mac[1], mac[1]} }
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for last := byte(0); ; {
				first, ok1 := tab.MAC(a)
				second, ok2 := tab.MAC(b)
				if !ok1 || !ok2 || !whole(first) || !whole(second) || first[1] < last || second[1] < first[1] || !whole(hop.Load()) {
					t.Errorf("% x %v, % x %v, % x", first, ok1, second, ok2, hop.Load())
					return
				}
				last = second[1]
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range byte(255) {
		if err := tab.Update(version(i)); err != nil {
			t.Error(err)
		}
		hop.Store([6]byte{2, i, i, i, i, i})
	}
	close(stop)
	readers.Wait()
	if hop.Load() != [6]byte{2, 254, 254, 254, 254, 254} {
		t.Errorf("% x", hop.Load())
	}
}

// Of two answers the one that agrees with the kernel's table counts, else the first.
func TestTwoAnswers(t *testing.T) {
	for _, c := range []struct {
		name        string
		kernel      [6]byte
		answers     [][6]byte
		used, other [6]byte
	}{
		{"the kernel knows none", [6]byte{}, [][6]byte{oldMAC, newMAC}, oldMAC, newMAC},
		{"the kernel knows the first", oldMAC, [][6]byte{oldMAC, newMAC}, oldMAC, newMAC},
		{"the kernel knows the second", newMAC, [][6]byte{oldMAC, newMAC}, newMAC, oldMAC},
		{"the kernel knows another", [6]byte{2, 9}, [][6]byte{oldMAC, newMAC}, oldMAC, newMAC},
		{"the kernel knows the third", newMAC, [][6]byte{oldMAC, {2, 9}, newMAC}, newMAC, [6]byte{2, 9}},
		{"one answers twice", oldMAC, [][6]byte{newMAC, newMAC}, newMAC, [6]byte{}},
		{"nobody answers", oldMAC, nil, [6]byte{}, [6]byte{}},
	} {
		h, err := newHosts(func(yield func(netip.Addr) bool) { yield(hopAddr) })
		if err != nil {
			t.Fatal(err)
		}
		if c.kernel != [6]byte{} {
			h.unconfirmed[0] = c.kernel
		}
		for _, mac := range c.answers {
			h.accept(answer(t, hopIP, mac), ourMAC, ourIP)
		}
		tab := h.table("tn")
		mac, ok := tab.MAC(hopAddr)
		if mac != c.used || ok != (c.used != [6]byte{}) {
			t.Errorf("%s: % x %v is used", c.name, mac, ok)
		}
		told := tab.Conflicts()
		if c.other == [6]byte{} {
			if len(told) != 0 {
				t.Errorf("%s: %v", c.name, told)
			}
		} else if len(told) != 1 || told[0].String() != conflict(c.used, c.other)[0].String() {
			t.Errorf("%s: %v", c.name, told)
		}
	}
}
