package route

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Messages that are cut or absurd say nothing, and break nothing.
func FuzzNews(f *testing.F) {
	f.Add(uint16(unix.RTM_NEWLINK), make([]byte, 16))
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
