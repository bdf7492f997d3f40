package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"synoptic/results"
)

// recordsOf makes records of any bytes, hostile ones too: names and banners are those bytes.
func recordsOf(data []byte) (ports []results.Port, hosts []results.Host) {
	for len(data) >= 8 {
		seed := binary.LittleEndian.Uint64(data)
		r := rand.New(rand.NewPCG(seed, 1))
		p := randomPort(r, 3, 4)
		n := min(int(data[0]), len(data))
		p.Time = int64(len(data)) * 10 // of two records that are equal but for what they say either may hold
		p.Hostname, p.Banner = string(data[:n]), data[:min(n, results.MaxBanner)]
		if data = data[8:]; seed%5 == 0 {
			hosts = append(hosts, results.Host{Addr: p.Addr, Hostname: p.Hostname, Open: []uint16{p.Port, 65535}, OpenCount: r.IntN(70000), ClosedCount: r.IntN(9), First: p.Time, Last: p.Time + 5, RTT: p.RTT, HasRTT: p.HasRTT, Suspect: p.Suspect})
			continue
		}
		ports = append(ports, p)
	}
	return ports, hosts
}

// group is a host as it comes out.
type group struct {
	Addr     netip.Addr
	Hostname string
	Summary  *results.Host
	Count    int
	Ports    []results.Port
}

func groupsOf(t *testing.T, b *byHost) (all []group) {
	t.Helper()
	for g, err := range b.hosts() {
		if err != nil {
			t.Fatal(err)
		}
		out := group{Addr: g.Addr, Hostname: g.Hostname, Count: g.count}
		if g.Summary != nil {
			s := *g.Summary
			s.Open = append([]uint16(nil), s.Open...)
			out.Summary = &s
		}
		for p := range g.Ports() {
			q := *p
			q.Banner = bytes.Clone(p.Banner)
			out.Ports = append(out.Ports, q)
		}
		all = append(all, out)
	}
	return all
}

// FuzzByHost: by way of the disk, in as many runs as it takes, records come out as they do from memory.
func FuzzByHost(f *testing.F) {
	f.Add([]byte("0123456789abcdef"))
	f.Add(bytes.Repeat([]byte("\xff\x00\x1b[2J\xc2\x9b"), 40))
	f.Add(binary.LittleEndian.AppendUint64(nil, 5))
	f.Fuzz(func(t *testing.T, data []byte) {
		ports, hosts := recordsOf(data[:min(len(data), 4<<10)])
		memory, disk := newByHost(t.TempDir(), byHostMemory), newByHost(t.TempDir(), 1<<10)
		for _, b := range []*byHost{memory, disk} {
			for i := range ports {
				if err := b.addPort(&ports[i]); err != nil {
					t.Fatal(err)
				}
			}
			for i := range hosts {
				if err := b.addHost(&hosts[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if diff := gocmp.Diff(groupsOf(t, memory), groupsOf(t, disk), sameRecords); diff != "" {
			t.Errorf("from memory and from the disk:\n%s", diff)
		}
	})
}

// FuzzRun: whatever the disk gives back, reading a run ends, and what it takes for a record can be read.
func FuzzRun(f *testing.F) {
	port := randomPort(rand.New(rand.NewPCG(1, 1)), 3, 4)
	good := appendHost(appendPort(nil, &port), &results.Host{Addr: port.Addr, Hostname: "h", Open: []uint16{1, 2}})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newRun(bytes.NewReader(data), 4<<10)
		g := &hostGroup{dec: decoder{names: map[string]string{}}}
		for read := 0; ; {
			err := r.next()
			if err != nil {
				if errors.Is(err, io.EOF) != (read == len(data)) {
					t.Errorf("after %d of %d bytes: %v", read, len(data), err)
				}
				return
			}
			if read += len(r.record); cap(r.record) > 2*maxRecord {
				t.Errorf("%d bytes of memory for %d of data", cap(r.record), len(data))
			}
			g.reset()
			g.add(r.record)
			for p := range g.Ports() {
				_ = p.AppendJSON(nil, "s")
			}
		}
	})
}
