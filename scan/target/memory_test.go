package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"synoptic/bench/lab/need"
)

// repeat fills n bytes with lines.
func repeat(n int, lines ...string) func() string {
	text := strings.Join(lines, "\n") + "\n"
	return func() string { return strings.Repeat(text, n/len(text)+1) }
}

// numbered fills n bytes with lines, each made of its number.
func numbered(n int, format string, args func(i int) []any) func() string {
	return func() string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, format+"\n", args(i)...)
		}
		return b.String()
	}
}

// inALine fills n bytes with targets that are all in one line.
func inALine(n int, item string) func() string {
	return func() string { return strings.Repeat(item+",", n/(len(item)+1)) }
}

// packed compresses a text.
func packed(t *testing.T, text []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithWindowSize(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(text, nil)
}

const (
	plainSize = 897 << 10
	bombSize  = 6 << 20 // of text; forty times as much is the most (maxText), and takes as little
)

// What a file of a megabyte, or one that unpacks to many, takes is bounded whatever it holds: it may come from somebody else.
func TestListsInBoundedMemory(t *testing.T) {
	need.Long(t)
	one := func(i int) []any { return []any{i} }
	for _, c := range []struct {
		name string
		text func() string
		bomb bool // the file is compressed
		most int  // MB of heap at the peak, with what the collector has not come to
		says string
	}{
		{"patterns", numbered(plainSize, "%d.%d.*.1", func(i int) []any { return []any{1 + i%9, i / 9 % 256} }), false, 90, "octet patterns make more than"},
		{"wide patterns", repeat(plainSize, "10.*.*.1", "11.*.*.1,3,5"), false, 90, "octet patterns make more than"},
		{"one pattern again", repeat(plainSize, "10.7.*.1,3"), false, 90, "octet patterns make more than"},
		{"too wide a pattern", repeat(plainSize, "1-100.*.*.1,3,5"), false, 20, "separate ranges, more than"},
		{"patterns in a line", inALine(plainSize, "10.7.0.*"), false, 90, ""},
		{"lists in a line", inALine(plainSize, "10.7.0.1,3,5"), false, 90, "a second address"},
		{"patterns with ports", numbered(plainSize, "10.7.*.1:%d", func(i int) []any { return []any{1 + i%4000} }), false, 90, "octet patterns make more than"},
		{"ports of an address", numbered(plainSize, "10.7.0.1:%d", func(i int) []any { return []any{1 + i%65535} }), false, 90, ""},
		{"prefixes", repeat(plainSize, "10.0.0.0/8", "fd00::/100"), false, 30, ""},
		{"addresses", numbered(plainSize, "10.0.%d.%d", func(i int) []any { return []any{i >> 7 % 256, i << 1 % 256} }), false, 30, ""},
		{"IPv6 addresses", numbered(plainSize, "fd::%x:%x", func(i int) []any { return []any{i >> 14, i << 1 % 65536} }), false, 40, ""},
		{"names", numbered(plainSize, "h%d.x", one), false, 150, ""},
		{"names that do not resolve", numbered(plainSize, "h%d.dead", one), false, 150, "more"},
		{"a name of many, by port", numbered(plainSize, "m.many:%d", func(i int) []any { return []any{1 + i%65535} }), false, 150, "the host names have more than"},
		{"names of many", numbered(plainSize, "h%d.many", one), false, 150, "the host names have more than"},
		{"comments", repeat(plainSize, "# x", "10.0.0.1"), false, 20, ""},
		{"addresses", repeat(bombSize, "10.0.0.1", "10.0.0.3"), true, 20, ""},
		{"falling addresses", repeat(bombSize, "10.0.0.7", "10.0.0.5", "10.0.0.1"), true, 20, ""},
		{"IPv6 addresses", repeat(bombSize, "fd::1", "fd::3"), true, 20, ""},
		{"patterns", repeat(bombSize, "10.7.0.1-3", "10.7.0.*"), true, 20, ""},
		{"names", repeat(bombSize, "a.x", "b.x"), true, 20, ""},
		{"names that do not resolve", repeat(bombSize, "a.dead", "b.dead"), true, 20, "cannot resolve"},
		{"a name with ports", repeat(bombSize, "a.x:1", "a.x:2"), true, 20, ""},
		{"a name of many", repeat(bombSize, "a.many", "a.many:7"), true, 20, ""},
		{"excluded ports", repeat(bombSize, "10.0.0.1:80"), true, 20, "the ports of all are excluded"},
		{"low bits", repeat(bombSize, "10.0.0.9/24"), true, 20, ""},
		{"ranges", repeat(bombSize, "10.0.0.1-10.0.0.9", "10.0.0.33-10.0.0.99"), true, 20, ""},
		{"many names", numbered(8<<20, "%x.a.x", one), true, 150, "more than 262144 host names"},
	} {
		name := c.name
		if c.bomb {
			name = "compressed " + name
		}
		roles := []string{"targets"} // which are read as all lists are, and kept in other places
		switch name {
		case "patterns", "names of many", "compressed addresses", "compressed names":
			roles = append(roles, "exclusions", "scope")
		}
		for _, role := range roles {
			t.Run(name+" as "+role, func(t *testing.T) {
				file := []byte(c.text())
				size := len(file)
				if c.bomb {
					if file = packed(t, file); len(file) > size/3 {
						t.Fatalf("%d bytes of %d are no bomb", len(file), size)
					}
				}
				config := Config{Ports: mustPorts(t, "443"), ExcludePorts: mustPorts(t, "80"), Stdin: bytes.NewReader(file), Resolve: resolveMany}
				switch role {
				case "targets":
					config.TargetFiles = []string{"-"}
				case "exclusions":
					config.ExcludeFiles, config.Targets = []string{"-"}, []string{"192.168.0.1"}
				case "scope":
					config.ScopeFiles, config.Targets = []string{"-"}, []string{"10.7.0.1"}
				}
				var before runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				peak := watchHeap()
				_, err := Load(t.Context(), config)
				mb := max(0, int(peak())-int(before.HeapAlloc)) / 1e6
				t.Logf("%d MB for %d bytes of file, %d of text: %.60v", mb, len(file), size, err)
				if mb > c.most {
					t.Errorf("%d MB at the peak for %d bytes of file, %d of text", mb, len(file), size)
				}
				if role == "targets" && !strings.Contains(fmt.Sprint(err), c.says) {
					t.Errorf("error %v, want %q", err, c.says)
				}
			})
		}
	}
}

// resolveMany knows a name server with little, nothing or much to say.
func resolveMany(_ context.Context, host string) (all []netip.Addr, err error) {
	switch {
	case strings.HasSuffix(host, ".dead"):
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	case strings.HasSuffix(host, ".many"):
		for i := range 200 {
			all = append(all, netip.AddrFrom4([4]byte{10, 1, byte(len(host)), byte(i)}))
		}
	case strings.HasSuffix(host, ".x"):
		all = append(all, netip.AddrFrom4([4]byte{10, 2, byte(len(host)), host[1]}))
	default:
		return nil, errors.New("not a name of this test")
	}
	return all, nil
}

// More names than a name server can be asked for are refused before it is.
func TestNamesLimit(t *testing.T) {
	need.Long(t)
	asked := 0
	_, err := Load(t.Context(), Config{
		TargetFiles: []string{"-"}, Ports: mustPorts(t, "443"), Stdin: strings.NewReader(numbered(3<<20, "h%d.x", func(i int) []any { return []any{i} })()),
		Resolve: func(_ context.Context, host string) ([]netip.Addr, error) { asked++; return nil, errors.New(host) },
	})
	if err == nil || !strings.Contains(err.Error(), "standard input:262145: ") || !strings.Contains(err.Error(), "more than 262144 host names") || asked > 0 {
		t.Errorf("%v, %d names were asked for", err, asked)
	}
}

// A list that is merged while it grows has what it would have at the end.
func TestPutKeepsTheSet(t *testing.T) {
	var grown, plain []span[addr4]
	for i := range addr4(100_000) {
		x := addr4(1<<24) + i*2654435761>>8%40_000*2
		grown, plain = put(grown, span[addr4]{x, x}), append(plain, span[addr4]{x, x})
	}
	if most := 2 * 40_000; cap(grown) > most {
		t.Errorf("room for %d, want %d at most", cap(grown), most)
	}
	if got, want := fmt.Sprint(merge(grown)), fmt.Sprint(merge(plain)); got != want {
		t.Errorf("%.100s, want %.100s", got, want)
	}
}
