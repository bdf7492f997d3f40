package monitor

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"synoptic/results"
)

// busyPlanner has something of everything, and nothing in flight.
func busyPlanner(t testing.TB) (*Planner, int64) {
	c := config(50)
	c.Networks = []Network{{Prefix: netip.MustParsePrefix("10.0.0.128/25"), MaxRate: 1}}
	p := newPlanner(t, c, spaceOf(t, "22,80,443", "10.0.0.0/23"))
	for i := uint64(0); i < 300; i += 3 {
		p.Track(addrPort(p.space, i), Standing(i%2)*Likely, 0)
	}
	now := monday
	k := 0
	watch(p, &now, 10*time.Minute, func(e Endpoint, now int64) {
		k++
		i, _ := p.space.Index(e.Addr.Addr(), e.Addr.Port())
		state := results.Closed
		if i%3 == 0 {
			state = results.Open
		}
		if k > 5000 && i%30 == 0 {
			state = 0
		}
		switch k % 170 {
		case 0, 17, 34, 51, 68:
			state = results.Unknown
		case 1, 2:
			state = 0
		case 3:
			state = results.Open
		}
		p.Result(e.Addr, state, now)
	})
	if len(p.doubts) == 0 || p.zones[1].cycle.inHoles == 0 || p.learn.n == 0 || len(p.dark) == 0 {
		t.Fatalf("there is not everything: %d doubts, %d in holes", len(p.doubts), p.zones[1].cycle.inHoles)
	}
	return p, now
}

// A planner that was stopped and one that was not do the same from then on.
func TestRestoreGoesOn(t *testing.T) {
	p, now := busyPlanner(t)
	q := reload(t, p, p.config, p.space)
	var a, b []Endpoint
	for _, run := range []struct {
		p  *Planner
		to *[]Endpoint
	}{{p, &a}, {q, &b}} {
		at, k := now, 0
		watch(run.p, &at, 5*time.Minute, func(e Endpoint, now int64) {
			k++
			*run.to = append(*run.to, e)
			run.p.Result(e.Addr, [...]results.State{results.Open, results.Closed, 0}[k%3], now)
		})
	}
	if len(a) < 1000 {
		t.Fatalf("%d and %d endpoints", len(a), len(b))
	}
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			t.Fatalf("number %d of %d is %+v, and after a restart %+v", i, len(a), a[i], b[min(i, len(b)-1)])
		}
	}
	var x, y bytes.Buffer
	if err := errors.Join(p.Snapshot(&x), q.Snapshot(&y)); err != nil || x.Len() != y.Len() {
		t.Errorf("%v: snapshots of %d and %d bytes", err, x.Len(), y.Len())
	}
}

// Under other limits everything is still known, and the cycle leaves nothing out.
func TestRestoreUnderOtherLimits(t *testing.T) {
	p, now := busyPlanner(t)
	c := p.config
	c.Networks = []Network{{Prefix: netip.MustParsePrefix("10.0.1.0/24"), MaxRate: 30}, {Prefix: netip.MustParsePrefix("10.0.0.0/26")}}
	c.Budget = 200
	q := reload(t, p, c, p.space)
	if q.table.n != p.table.n || len(q.doubts) != len(p.doubts) || q.predicted != p.predicted {
		t.Errorf("%d endpoints of %d, %d doubts of %d", q.table.n, p.table.n, len(q.doubts), len(p.doubts))
	}
	behind, ahead := &p.zones[0].cycle, &p.zones[1].cycle
	if behind.number >= ahead.number {
		t.Fatal("no network is behind: the test shows nothing")
	}
	for _, z := range q.zones {
		if z.cycle.number != behind.number || z.cycle.cursor != behind.cursor {
			t.Errorf("%v is at %d of cycle %d", z.prefix, z.cycle.cursor, z.cycle.number)
		}
	}
	asked := map[netip.AddrPort]bool{}
	watch(q, &now, 30*time.Minute, func(e Endpoint, now int64) {
		asked[e.Addr] = true
		q.Result(e.Addr, results.Closed, now)
	})
	if uint64(len(asked)) != q.n {
		t.Errorf("%d of %d were asked", len(asked), q.n)
	}
}

// Any damage is an error, and a snapshot of something else is another one.
func TestDamagedSnapshots(t *testing.T) {
	p, _ := busyPlanner(t)
	var b bytes.Buffer
	if err := p.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	restore := func(data []byte) error {
		_, err := Restore(p.config, p.space, bytes.NewReader(data))
		return err
	}
	if err := restore(whole); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(whole); i += 1 + len(whole)/400 {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(whole)
			bad[i] ^= bit
			if err := restore(bad); err == nil {
				t.Fatalf("byte %d changed, and no error", i)
			}
		}
		if err := restore(whole[:i]); !errors.Is(err, errDamaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	if err := restore(append(bytes.Clone(whole), 0)); !errors.Is(err, errDamaged) {
		t.Errorf("something behind: %v", err)
	}
	newer := bytes.Clone(whole)
	newer[23] = 2
	if err := restore(newer); err == nil || !strings.Contains(err.Error(), "version 2, and this program knows 1") {
		t.Errorf("a newer version: %v", err)
	}
	if _, err := Restore(p.config, spaceOf(t, "22,80", "10.0.0.0/23"), bytes.NewReader(whole)); !errors.Is(err, ErrOtherSpace) {
		t.Errorf("other ports: %v", err)
	}
}

// A disk that is full is an error.
func TestSnapshotFails(t *testing.T) {
	p, _ := busyPlanner(t)
	full := errors.New("no space left on device")
	if err := p.Snapshot(failing{full}); !errors.Is(err, full) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
