package spec

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"go4.org/netipx"

	"synoptic/scan/target"
)

// Runs of ports, over the edges of the words that they lie in.
func TestPortRuns(t *testing.T) {
	for _, spec := range []string{"1", "65535", "1-65535", "1-63,64,65-128", "63", "64", "127-128,192-255,65535", "1,3,5,7-9", "60000-65535"} {
		ports, err := target.ParsePorts(spec)
		if err != nil {
			t.Fatal(err)
		}
		var set portSet
		set.add(ports.All())
		var got []uint16
		last := -1
		for first, end := range set.runs {
			if first <= last+1 && last >= 0 || end < first {
				t.Errorf("%s: a run %d-%d behind %d", spec, first, end, last)
			}
			last = end
			for p := first; p <= end; p++ {
				got = append(got, uint16(p))
			}
		}
		if !slices.Equal(got, slices.Collect(ports.All())) {
			t.Errorf("%s: %v", spec, got)
		}
	}
}

// What is written is read in scan/plan's tests. What is not is an error that tells where, or that it is not in the one form.
func TestReadRefuses(t *testing.T) {
	const good = "synoptic plan 1\npermutation 1\ntargets\n10.0.0.0-10.0.0.255\nports\n80-80\n443-443\npairs 22\n10.0.2.7-10.0.2.7\nexclusions\n10.0.1.0-10.0.1.255\n::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n"
	if s, err := Read([]byte(good), 7); err != nil || s.Len() != 2*256+1 {
		t.Fatalf("%v", err)
	}
	for text, want := range map[string]string{
		"": "line 1",
		strings.Replace(good, "plan 1", "plan 2", 1):                         "another version",
		strings.Replace(good, "permutation 1", "permutation 2", 1):           "another version",
		strings.Replace(good, "10.0.0.255", "10.0.0.256", 1):                 "line 4",
		strings.Replace(good, "10.0.0.0-10.0.0.255", "10.0.0.0/24", 1):       "line 4",
		strings.Replace(good, "80-80", "http", 1):                            "not in the form",
		strings.Replace(good, "80-80\n443-443", "443-443\n80-80", 1):         "not in the form",
		strings.Replace(good, "pairs 22", "pairs 65536", 1):                  "line 8",
		strings.Replace(good, "pairs 22", "pairs 0", 1):                      "plan",
		strings.Replace(good, "pairs 22\n10.0.2.7", "pairs 80\n10.0.0.7", 1): "not in the form",
		strings.TrimSuffix(good, "\n"):                                       "not in the form",
		good + "\n":                                                          "line 13",
		good[:strings.Index(good, "ports")]:                                  "no ports",
		strings.Replace(good, "exclusions", "exclusion", 1):                  "line 10",
		good + strings.Repeat("x", 1<<17):                                    "line 13",
	} {
		if _, err := Read([]byte(text), 7); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q of\n%.300s", err, want, text)
		}
	}
}

// Whatever is read is written as it was.
func FuzzRead(f *testing.F) {
	f.Add([]byte("synoptic plan 1\npermutation 1\ntargets\n10.0.0.0-10.0.0.255\nports\n80-80\nexclusions\n"))
	f.Add([]byte("synoptic plan 1\npermutation 1\ntargets\nports\npairs 22\n10.0.2.7-10.0.2.7\nfd00::1-fd00::1\nexclusions\n10.0.0.64-10.0.0.127\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Read(text, 1)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := Write(&again, s.space, slices.Values([]netipx.IPRange(nil))); err != nil || !bytes.HasPrefix(text, again.Bytes()) {
			t.Errorf("%v:\n%s\nis not\n%s", err, again.Bytes(), text)
		}
		for p := range min(s.Len(), 4) {
			addr, port := s.At(p)
			if at, ok := s.Position(addr, port); !ok || at != p {
				t.Errorf("%v:%d of position %d is at %d", addr, port, p, at)
			}
		}
	})
}
