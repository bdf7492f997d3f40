package target

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"
)

// FuzzTarget: whatever a word is, the parser returns an *Error with a hint or valid, sorted ranges.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.1", "10.0.0.0/24", "10.0.0.1-10.0.0.9", "10.0.0-3.1-254", "10.*.1,3.5-", "example.com",
		"10.0.0.1:80", "[2001:db8::1]:443", "2001:db8::/120", "2001:db8::1-2001:db8::ff", "::ffff:10.0.0.0/120",
		"::ffff:0:0/95", "fe80::1%eth0", "10.0.0.1,3,10.0.0.0/31,::1", "-", ",", "[", "a:", "1-254.1-254.1-254.1-254",
		"255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0/0", "::/0", "010.0.0.1", "1.2.3.4/8/8",
		"\xff\xfe", "::-::ffff:1.2.3.4",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, word string) {
		seen := 0
		err := parseWord(word, place{source: "fuzz", line: 7}, func(e entry, text string, _ place) error {
			seen++
			if !strings.Contains(word, text) {
				t.Fatalf("%q is no part of %q", text, word)
			}
			if e.host != "" {
				if e.octets != nil || e.addrs.IsValid() || notHostname(e.host) != "" {
					t.Fatalf("%q: host entry %+v", word, e)
				}
				return nil
			}
			if e.octets == nil && !e.addrs.IsValid() {
				t.Fatalf("%q: entry without a valid range", word)
			}
			if e.octets != nil && e.octets.numRanges() > 1<<12 {
				return nil // valid, and slow to expand
			}
			var r ranges
			e.addTo(&r)
			r.normalize()
			if r.empty() {
				t.Fatalf("%q: no address", word)
			}
			checkNormal(t, r.v4)
			checkNormal(t, r.v6)
			for x := range r.each {
				if !x.IsValid() || x.From().Is4In6() || x.From().Zone() != "" {
					t.Fatalf("%q: range %v", word, x)
				}
			}
			return nil
		})
		if err == nil {
			if seen == 0 {
				t.Fatalf("%q: neither target nor error", word)
			}
			return
		}
		var e *Error
		if !errors.As(err, &e) || e.Source != "fuzz" || e.Line != 7 || e.Hint() == "" || e.Unwrap() == nil {
			t.Fatalf("%q: error %#v", word, err)
		}
	})
}

func checkNormal[T number[T]](t *testing.T, s []span[T]) {
	for i, x := range s {
		if x.first.cmp(x.last) > 0 || i > 0 && (x.first.cmp(s[i-1].last) <= 0 || s[i-1].last.next() == x.first) {
			t.Fatalf("span %d of %v is out of order", i, s)
		}
	}
}

// FuzzPorts: a spec is refused with a hint, or its String reads back as the same set.
func FuzzPorts(f *testing.F) {
	for _, seed := range []string{
		"80", "22,80,8000-8100", "-", "-100", "60000-", "http,ssh", "http-alt", " 1 - 2 , 3", "0", "65536", "9-1", "",
		",", "--", "1-2-3", "x11", "99999999999999999999", "HTTPS", "cl/1", "htpps", "é", "-0",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		p, err := ParsePorts(spec)
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) || e.Hint() == "" {
				t.Fatalf("%q: error %#v", spec, err)
			}
			return
		}
		if p.Len() == 0 || p.At(0) == 0 {
			t.Fatalf("%q: ports %v", spec, p)
		}
		again, err := ParsePorts(p.String())
		if err != nil || again.bits != p.bits {
			t.Fatalf("%q: %q read back as %v, %v", spec, p, again, err)
		}
	})
}

// FuzzList: whatever a file of targets holds, its text bounds what it takes, and what is wrong with it has a place.
func FuzzList(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.1\r\n# x\r10.0.0.2/31\n", "11.7.*.1\n12.7.*.1,3\n13-30.7.*.7\n", "10.0.0.1 - 10.0.0.9\n10.0.0.1,3-4\n",
		"\xff\xfe1\x000\x00.\x00", "10.0.0.1:80\n[2001:db8::/112]:443\n", "*.*.*.0-127:1\n*.*.*.0-127:2\n", "10.0.0.1- 10.0.0.2", "\x1f\x8b\x08",
	} {
		f.Add([]byte(seed))
	}
	ports, err := ParsePorts("80")
	if err != nil {
		f.Fatal(err)
	}
	// A pattern of a million ranges takes seconds where every branch is counted, and a worker that is busy for ten seems to hang.
	usual := maxPatternRanges
	maxPatternRanges = 1 << 12
	f.Cleanup(func() { maxPatternRanges = usual })
	f.Fuzz(func(t *testing.T, list []byte) {
		got, err := Load(t.Context(), Config{
			TargetFiles: []string{"-"}, Stdin: bytes.NewReader(list), Ports: ports, Exclude: []string{"0.0.0.0/8,224.0.0.0/3"}, Resolve: names{}.resolve,
		})
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) || e.Hint() == "" && !errors.Is(err, bufio.ErrTooLong) {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if bytes.HasPrefix(list, []byte("\x1f\x8b")) || bytes.HasPrefix(list, []byte("\x28\xb5")) {
			return // its text is longer
		}
		n := got.Space.addrs.NumRanges()
		for _, addrs := range got.Space.Pairs() {
			n += addrs.NumRanges()
		}
		if most := maxPatternRanges + len(list) + 8; n > most {
			t.Fatalf("%d ranges of %d bytes", n, len(list))
		}
	})
}
